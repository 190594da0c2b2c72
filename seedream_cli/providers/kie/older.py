"""KIE's older Seedream endpoint: a flat body, and a record that comes bare or wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Call, Purpose
from seedream_cli.core.record import replace
from seedream_cli.providers.kie.answers import (
    read,
    read_done,
    read_failure,
    read_under_way,
    result,
    urls_in,
)
from seedream_cli.providers.kie.dialect import KIE, inputs, measure_inputs
from seedream_cli.providers.kie.models import OLDER
from seedream_cli.providers.reading import at, id_at, keep_given, merge, message_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Outcome, Reply, Request, Task

# Its page counts 0 to 3; its siblings' words, and what one of them was once seen to answer, too.
_MADE: Final = frozenset({"1", "SUCCESS", "成功"})
_BROKEN: Final = frozenset({"2", "3", "CREATE_TASK_FAILED", "GENERATE_FAILED"})
_UNDER_WAY: Final = frozenset({"0", "GENERATING"})

_URL_KEYS: Final = ("imageUrl", "resultUrl", "resultImageUrl")
_LIST_KEYS: Final = ("resultUrls", "result_urls", "imageUrls")


def submit(request: Request) -> Call:
    """Encode one purchase; there is no choice of model."""
    wanted = inputs(request, None)
    taken = {key: wanted[key] for key in wanted if key in OLDER.fields or key == "prompt"}
    body = taken | keep_given(callBackUrl=request.callback_url)
    path = "/api/v1/seedream/generate"
    return Call(purpose=Purpose.SUBMIT, method="POST", path=path, body=merge(body, request.extra))


def poll(task: Task) -> Call:
    """Ask about a task."""
    path = "/api/v1/seedream/record-info"
    return Call(purpose=Purpose.POLL, method="GET", path=path, query={"taskId": task.id})


def decode(reply: Reply) -> Outcome:
    """Read an answer; all but the record is as on KIE's market."""
    return read(reply, _record)


def _record(said: Mapping[str, object]) -> Outcome | None:
    record = said if "successFlag" in said else said.get("data")
    task_id = id_at(record, "taskId")
    flag = id_at(record, "successFlag") or id_at(record, "status")
    if flag is None:
        return None
    if flag in _MADE:
        return read_done(task_id, _urls(record), record)
    if flag in _BROKEN:
        message = message_at(record, "errorMessage") or message_at(record, "errorMsg")
        return read_failure(task_id, id_at(record, "errorCode"), message)
    word = "generating" if flag in _UNDER_WAY else flag[:100]
    return read_under_way(task_id, word, record, is_strange=flag not in _UNDER_WAY)


def _urls(record: object) -> list[str]:
    """Return the result URLs from wherever this endpoint or a sibling puts them."""
    places = (record, at(record, "response"), at(record, "info"), result(record))
    found = (
        url
        for place in places
        for key in (*_URL_KEYS, *_LIST_KEYS)
        for url in urls_in(at(place, key))
    )
    return list(dict.fromkeys(found))


KIE_SEEDREAM: Final = replace(
    KIE,
    name="kie-seedream",
    title="KIE.ai's older Seedream endpoint",
    dialect=replace(KIE.dialect, submit=submit, measure=measure_inputs, decode=decode, poll=poll),
    models={"": OLDER},
    default_model=None,
    short_names={},
    fields=frozenset({"callBackUrl"}),
    inputs_in="",
)
