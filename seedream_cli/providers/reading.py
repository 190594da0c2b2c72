"""Opens what a provider answered, so that no byte of it can do more than be unreadable."""

from __future__ import annotations

import json
import re
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Never
from urllib.parse import urlsplit

from seedream_cli.core.addresses import is_loopback
from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.formats import format_of_extension
from seedream_cli.core.model import Busy, Problem, Record, RemoteImage
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from seedream_cli.core.model import Reply

REFUSALS: Final = frozenset({400, 401, 402, 403, 404, 413, 415, 422, 451})
"""Statuses that, in the provider's own envelope, mean: no work was begun."""

OK: Final = 200
TOO_MANY_REQUESTS: Final = 429

_ACCOUNT: Final = {401: "auth", 402: "credit", 403: "auth"}
_CONTENT: Final = pattern(
    r"sensitive|policy|nsfw|violat|moderat|safety|prohibited|inappropriate|敏感|违规", re.IGNORECASE
)
_MILLISECONDS: Final = range(1_577_836_800_000, 4_102_444_800_000)
"""Of 2020 to 2099."""
_ENDLESS: Final = 10**12
_MAX_DEPTH: Final = 64
_MAX_MESSAGE: Final = 1000
_MAX_WORD: Final = 100
_BRACKETS: Final = pattern(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|([\[{])|([\]}])', re.DOTALL)
"""Strings are leapt over; an unfinished one ends the text, so this stays linear."""
_INLINE: Final = pattern(
    r"\s*data:[^,]{0,256},|spill:[0-9]{1,12}:[0-9]{1,12}(?::[0-9a-z]{1,32})?\Z", re.IGNORECASE
)
"""Base64 with the prefix of a URL, or what stands for a string too long for memory."""
_WEB_URL: Final = pattern("https?://[^\x00-\x20\x7f-\xa0\ud800-\udfff]+", re.IGNORECASE)

_LOOSE_URL: Final = pattern(
    r"""(?P<before>["']?)(?P<url>https?://"""
    r"""[^\x00-\x20"'<>\\^`{|}\x7f-\xa0\ud800-\udfff\ufffd]+)"""
    r"""(?P<after>["']?)(?<![.,;:!)\]])""",
    re.IGNORECASE,
)
_ESCAPED: Final = pattern(r"\\u00([2-7][0-9a-fA-F])")
_NO_PICTURE: Final = pattern(
    r"call_?back|docs?(?:_|$|[A-Z])|help|support|^(?:params?|parameters|inputs?|references?)$",
    re.IGNORECASE,
)
"""Keys of addresses that no picture of ours lies at, and of what repeats the request."""
_MAX_NESTED: Final = 4
"""JSON within strings of JSON: KIE's `resultJson` is one deep."""


def parse(body: bytes | str) -> object:
    """Return the JSON value of `body`; raises `UnreadableReply` for anything else.

    Also refused: what is no UTF-8, NaN and Infinity, more than 64 levels, and endless numbers.
    """
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
        _check_depth(text)
        value: object = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except ValueError as error:
        raise UnreadableReply(f"the answer is no JSON that can be read ({error})") from error
    return value


def picture_urls(body: bytes, *, but: Mapping[str, object] | None = None) -> list[str]:
    """Return the addresses in an answer that may be a picture's, the likeliest first.

    For answers that no dialect can read: an address that stands alone in a string, or ends as a
    picture's does. Never one that was sent ourselves (`but`: that body), and no `data:` URL.
    """
    sent = set(_urls(json.dumps(but))) if but else set()
    found = dict.fromkeys(url for url in _urls(body.decode("utf-8", "replace")) if url not in sent)
    urls = filter(None, map(_as_https, found))
    return sorted(dict.fromkeys(urls), key=lambda url: not _is_picture(url))


def _urls(text: str, depth: int = 0) -> Iterator[str]:
    """Yield the addresses in a text: of JSON, also within strings of it, or of anything else."""
    try:
        values = deque([parse(text)])
    except UnreadableReply:
        import html

        # Half an answer, a web page, events: its quotes tell what stands alone.
        bare = html.unescape(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))
        for found in _LOOSE_URL.finditer(bare.replace("\\/", "/")):
            is_alone = found["before"] != "" and found["before"] == found["after"]
            if is_alone or _is_picture(found["url"]):
                yield found["url"]
        return
    while values:
        match values.popleft():
            case str() as string if depth < _MAX_NESTED and string.lstrip()[:1] in {"{", "["}:
                yield from _urls(string, depth + 1)
            case str() as string if _WEB_URL.fullmatch(string.strip()):
                yield string.strip()
            case str() as string:
                yield from filter(_is_picture, (m["url"] for m in _LOOSE_URL.finditer(string)))
            case dict() as fields:
                values += [each for key, each in fields.items() if not _NO_PICTURE.search(str(key))]
            case list() as items:
                values += items
            case _:
                pass


def _is_picture(url: str) -> bool:
    """Tell whether an address ends as a picture's does, whatever its query."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return False
    return format_of_extension(path.rpartition(".")[2]) is not None


def _as_https(url: str) -> str:
    """Return a plain `http:` address as it will be asked; empty for what is none."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    # The stand-in's pictures lie there.
    if not host or is_loopback(host):
        return url if host else ""
    return re.sub(r"\Ahttps?:", "https:", url, flags=re.IGNORECASE)


def read_object(reply: Reply) -> Mapping[str, object]:
    """Return the JSON object of an answer; empty where it is none."""
    try:
        value = parse(reply.body)
    except UnreadableReply:
        return {}
    return value if isinstance(value, dict) else {}


def at(value: object, *keys: str) -> object:
    """Return what lies under `keys`, None where the way ends before."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def str_at(value: object, *keys: str) -> str | None:
    """Return the text under `keys`, safe to encode; None for anything else and for empty text."""
    found = at(value, *keys)
    if not isinstance(found, str):
        return None
    # JSON can escape half a character, which neither a database nor a terminal takes.
    return found.encode("utf-8", "replace").decode().strip() or None


def message_at(value: object, *keys: str) -> str | None:
    """Return the text under `keys`, at a length that a person would read."""
    text = str_at(value, *keys)
    return text[:_MAX_MESSAGE] if text else None


def id_at(value: object, *keys: str) -> str | None:
    """Return an opaque id, whether it was written as text or as a number."""
    found = at(value, *keys)
    is_number = isinstance(found, int) and not isinstance(found, bool)
    return str(found) if is_number else str_at(value, *keys)


def whole_at(value: object, *keys: str) -> int | None:
    """Return the whole number under `keys`, also where it was written as text."""
    found = at(value, *keys)
    if isinstance(found, str) and re.fullmatch(r"-?[0-9]{1,9}", found):
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def time_at(value: object, *keys: str, in_seconds: bool = False) -> datetime | None:
    """Return the time under `keys`, in milliseconds since 1970 or as ISO 8601 with its zone.

    None for anything else. What lies before the provider did is no time: one that counts in
    seconds where that is not its way (`in_seconds`), or 0 for "none".
    """
    found = id_at(value, *keys) or ""
    # Ten digits become thirteen; what has more was no time in seconds.
    if in_seconds:
        found = f"{found}000"
    milliseconds = int(found) if re.fullmatch(r"[0-9]{13}", found) else _iso(found)
    if milliseconds not in _MILLISECONDS:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def seconds_at(value: object, since: str, until: str) -> float | None:
    """Return the seconds between the times under two keys; None where they make no span."""
    began, ended = time_at(value, since), time_at(value, until)
    if began is None or ended is None or ended <= began:
        return None
    return (ended - began).total_seconds()


def _iso(text: str) -> int:
    """Return an ISO time in milliseconds since 1970; 0 for what is none, or has no zone."""
    try:
        at = datetime.fromisoformat(text)
        return round(at.timestamp() * 1000) if at.tzinfo is not None else 0
    except (ValueError, OverflowError):
        return 0


def records(
    items: object,
    *,
    task_id: tuple[str, ...],
    time: str,
    model: str = "",
    state: str = "",
    inputs: Iterable[str] = (),
) -> tuple[Record, ...]:
    """Return the members of a provider's own list, each with its id and time under these keys.

    `inputs` are keys of which one holds what was asked; what is empty there was taken away. Raises
    `UnreadableReply` where anything else is missing of any: a list is read whole or not at all.
    """
    if not isinstance(items, list):
        raise UnreadableReply("the provider's answer is no list of requests")
    found = []
    for item in items:
        name, began = id_at(item, *task_id), time_at(item, time)
        which = str_at(item, model) if model else ""
        # Left out, it would be a request that the list “lacks”: that may close a paid job.
        if name is None or began is None or which is None:
            raise UnreadableReply("the provider lists a request without its id, time or model")
        given = (at(item, key) for key in inputs)
        asked = next((each for each in given if isinstance(each, dict) and each), None)
        word = (str_at(item, state) or "")[:_MAX_WORD] if state else ""
        found.append(Record(task_id=name, model=which, at=began, input=asked, state=word))
    return tuple(found)


def number_at(value: object, *keys: str) -> int | float | None:
    """Return the number under `keys`; None for anything else, and for what no sum can be."""
    found = at(value, *keys)
    if not isinstance(found, int | float) or isinstance(found, bool):
        return None
    return found if abs(found) < _ENDLESS else None


def web_url(value: object) -> str | None:
    """Return `value` unchanged when it is an http or https URL, byte for byte: they are signed."""
    if not isinstance(value, str) or not _WEB_URL.fullmatch(value):
        return None
    try:
        return value if urlsplit(value).hostname else None
    except ValueError:
        return None


def source(value: object) -> str | None:
    """Return `value` when it says where a picture is or what it is: a URL, or data inline."""
    if isinstance(value, str) and _INLINE.match(value):
        return value
    return web_url(value)


def remote_image(index: int, found: str) -> RemoteImage:
    """Return the picture that a `source` stands for; inline data is never taken for a URL."""
    if _INLINE.match(found):
        return RemoteImage(index=index, data=found)
    return RemoteImage(index=index, url=found)


def pictures(
    items: object,
    problem: Callable[[object], Problem | None],
    image: Callable[[int, str], RemoteImage],
) -> tuple[RemoteImage, ...]:
    """Return the members of an images/generations `data` list, whole or with their problem.

    Empty where none of them can be read at all.
    """
    found = tuple(
        _picture(index, item, problem, image)
        for index, item in enumerate(items if isinstance(items, list) else (), start=1)
    )
    # Beside one that can be read the others are lost; without any this is another answer.
    is_readable = any(each is not None for each in found)
    lost = Problem("provider_failed", "the provider's answer holds no image here")
    return tuple(
        each or RemoteImage(index=index, problem=lost)
        for index, each in enumerate(found, start=1)
        if is_readable
    )


def account_or_request(status: int, message: str) -> str:
    """Return the stable code of a refusal with this status and these words."""
    if status in _ACCOUNT:
        return _ACCOUNT[status]
    return "content_policy" if is_about_content(message) else "invalid_request"


def is_about_content(message: str) -> bool:
    """Tell whether a provider's words speak of what may be shown."""
    return _CONTENT.search(message) is not None


def read_foreign(reply: Reply) -> Busy:
    """Return what an answer means that is not in the provider's own words.

    Raises `UnreadableReply` but for HTTP 429, of which even a gateway means: nothing was begun.
    """
    if reply.status == TOO_MANY_REQUESTS:
        return Busy(problem=Problem("rate_limit", "too many requests (HTTP 429)"))
    raise UnreadableReply(f"the provider's answer (HTTP {reply.status}) cannot be read")


def merge(body: Mapping[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    """Return `body` with the fields of `extra` laid over it, level by level."""
    merged = dict(body)
    for key, value in extra.items():
        match merged.get(key), value:
            # Level by level: `--set a.b=1` leaves the rest of `a` as we wrote it.
            case dict() as below, dict() as above:
                merged[key] = merge(below, above)
            case _:
                merged[key] = value
    return merged


def keep_given(**fields: object) -> dict[str, object]:
    """Return the fields that have a value, in this order."""
    return {key: value for key, value in fields.items() if value is not None}


def one_or_list(urls: Iterable[str]) -> str | list[str] | None:
    """Return the one URL, or the list of several, or None."""
    every = list(urls)
    return every[0] if len(every) == 1 else every or None


def _picture(
    index: int,
    item: object,
    problem: Callable[[object], Problem | None],
    image: Callable[[int, str], RemoteImage],
) -> RemoteImage | None:
    name = str_at(item, "name")
    for key in ("url", "b64_json"):
        found = source(at(item, key))
        if found and _INLINE.match(found):
            return RemoteImage(index=index, data=found, name=name)
        if found:
            return replace(image(index, found), name=name)
    if data := str_at(item, "b64_json"):
        return RemoteImage(index=index, data=data, name=name)
    failure = problem(item)
    return RemoteImage(index=index, problem=failure) if failure else None


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth += (bracket[1] is not None) - (bracket[2] is not None)
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")


def _refuse(word: str) -> Never:
    raise ValueError(f"{word} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError(f"{text[:20]} is out of bounds")
    return value
