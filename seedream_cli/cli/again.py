"""Makes a picture again: from what the ledger knows of a job back to what one would type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seedream_cli.cli.arguments import GenerateArguments, command_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seedream_cli.core.model import Job

_SAME = ("size", "aspect", "seed", "format", "series", "guidance", "steps", "quality", "watermark")
"""Options that have the same name in `Job.request`."""


def again_line(job: Job) -> str:
    """Return the command that buys a job's request once more, right as pasted."""
    return command_line(arguments_of(job))


def arguments_of(job: Job) -> GenerateArguments:
    """Return what asks for the same as a job did: one request, and no place for its picture."""
    request = job.request
    references = [str(each) for each in _list(request.get("references"))]
    extra = request.get("set")
    own = dict(_settings(extra)) if isinstance(extra, dict) else {}
    if "count" in request:
        own |= {"n": request["count"]}  # a count of the provider's own is one request
    return GenerateArguments(
        prompt=job.prompt,
        image=references or None,
        profile=job.profile,
        model=job.model or None,
        sandbox=job.sandbox,
        set=[f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in own.items()]
        or None,
        **{name: request[name] for name in _SAME if request.get(name) is not None},  # type: ignore[arg-type]  # as they were checked
    )


def _settings(extra: Mapping[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the provider's own fields by dotted name."""
    for key, value in extra.items():
        if isinstance(value, dict) and value and "." not in key:
            yield from _settings(value, f"{path}{key}.")
        else:
            yield path + key, value


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []
