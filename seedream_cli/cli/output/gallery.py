"""A page of pictures: one HTML file without a network, made of templates that escape everything."""

from __future__ import annotations

import hashlib
import os
import posixpath
from base64 import b64encode
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from seedream_cli.batch.action import Act
from seedream_cli.core import money as price
from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.model import Charge, State
from seedream_cli.core.paths import explain_unreadable, is_file
from seedream_cli.core.record import dataclass
from seedream_cli.core.text import clean, human_span, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from seedream_cli.batch.action import Action, Plan
    from seedream_cli.core.model import Image, Job

_MARK: Final = '<meta name="generator" content="seedream gallery">'
"""Near the top of each page of ours: no other file is replaced by one."""
_HEAD: Final = 1024
"""Bytes within which the mark stands."""
_LONGEST_ALT: Final = 120
"""Columns of a picture's text for those who do not see it; the whole prompt stands below it."""
_MOODS: Final = {
    State.SAVED: "good",
    State.REFUSED: "bad",
    State.FAILED: "bad",
    State.UNKNOWN: "bad",
    State.EXPIRED: "bad",
}
"""How a state looks; its word says it, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture of a card, or why none is shown."""

    path: str | None = None
    """Where it lies; None: nowhere on this disk."""
    words: str = ""
    """In its place where it is not shown."""
    label: str = ""
    """`old`, `new`, where there are two."""
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the page shows of one picture."""

    anchor: str
    """Its name within the page: others link to it."""
    prompt: str
    state: str
    mood: str = "wait"
    """`good`, `bad`, or `wait`."""
    facts: Sequence[str] = ()
    shots: Sequence[Shot] = ()
    why: str = ""
    sources: Sequence[tuple[str, str]] = ()
    """What it was made from: words, and the anchor of its card (empty: it has none here)."""
    command: str = ""
    """Makes it again."""


def check_page(file: Path) -> None:
    """Raise `UsageError` where something lies in a page's place that is none of ours."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD)
    except FileNotFoundError:
        return
    except OSError as error:
        raise explain_unreadable(str(file), error) from error
    if _MARK.encode() not in head:
        raise UsageError(
            f"{file} is there and no gallery of seedream's; it is left alone",
            hint="give --gallery another name",
        )


def write_page(
    file: Path,
    cards: Iterable[Card],
    *,
    title: str,
    note: str,
    write: Callable[[Path, bytes], None],
    is_portable: bool = False,
) -> None:
    """Write the page of `cards`; raise `StorageError` where its folder does not take it.

    A `portable` page names no place outside its folder: it may be published.
    """
    check_page(file)
    try:
        folder = file.resolve().parent
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}") from error
    text = page(cards, title=title, note=note, folder=folder, is_portable=is_portable)
    write(folder / file.name, text.encode("utf-8", "replace"))


def page(
    cards: Iterable[Card], *, title: str, note: str, folder: Path, is_portable: bool = False
) -> str:
    """Return the page that lies in `folder`."""
    style, script = _part("style.css"), _part("script.js")
    card = Template(_part("card.html").rstrip("\n"))
    each = "\n".join(_card(card, each, folder, is_portable=is_portable) for each in cards)
    return Template(_part("page.html")).substitute(
        title=_text(title),
        note=_text(note),
        style=style,
        script=script,
        style_hash=_digest(style),
        script_hash=_digest(script),
        cards=each,
    )


def cards_of(
    jobs: Iterable[Job],
    now: datetime,
    command: Callable[[Job], str],
    sources: Callable[[Job], Iterable[Image]],
) -> Iterator[Card]:
    """Yield a card a picture of each job, or one for a job that has none."""
    for job in jobs:
        made_from = [
            (f"{each.job}.{each.index}", f"{each.job}.{each.index}") for each in sources(job)
        ]
        line = command(job)
        for image in job.images or (None,):
            yield Card(
                anchor=f"{job.id}.{image.index}" if image else job.id,
                prompt=job.prompt,
                state=job.state.value,
                mood=_MOODS.get(job.state, "wait"),
                facts=_facts(job, image, now),
                shots=(_shot(image, job),),
                why=_why(job, image),
                sources=made_from,
                command=line,
            )


def cards_of_plan(plan: Plan, base: str) -> Iterator[Card]:
    """Yield a card a picture of a manifest whose folder is `base`: as it is, and as it would be."""
    names = {key: action.name for action in plan.actions for key in action.keys}
    for action in plan.actions:
        entry, problem = action.entry, action.problem
        is_new = action.act is Act.MAKE
        money = action.price if is_new else entry.price if entry else None
        made = (entry.model, entry.keyword or "", entry.date) if entry and not is_new else ()
        asked = (action.target.request.model,) if is_new and action.target else ()
        about = "would cost about" if is_new else "about"
        facts = [
            action.name if action.of is None else f"{action.name}, a set of up to {action.of}",
            *(made or asked),
            f"{about} {price.show(money)}" if money else "",
        ]
        yield Card(
            anchor=action.name,
            prompt=action.row.prompt,
            state="failed" if problem else "to make" if is_new else action.act.value,
            mood="bad" if problem else "good" if action.act is Act.KEEP else "wait",
            facts=[fact for fact in facts if fact],
            shots=list(_shots_of(action, base)),
            why=problem.message if problem else action.reason,
            sources=[(names.get(key, key[0]), names.get(key, "")) for key in action.needs],
        )


def _shots_of(action: Action, base: str) -> Iterator[Shot]:
    """Yield the picture that is there, and the place of the one that would be made."""
    entry = action.entry
    places = [action.output] + ([entry.output] if entry else [])
    there = next(filter(is_file, (posixpath.join(base, at) for at in places)), None)
    is_new = action.act in {Act.MAKE, Act.FETCH, Act.WAIT, Act.UNKNOWN}
    if there is not None:
        yield Shot(path=there, label="old" if is_new else "")
    if is_new or there is None:
        words = {Act.MAKE: "to be made", Act.FETCH: "paid for, to be fetched"}
        yield Shot(words=words.get(action.act, "not on disk"), label="new" if there else "")


def _facts(job: Job, image: Image | None, now: datetime) -> list[str]:
    size = f"{image.width}x{image.height}" if image and image.width else job.request.get("size")
    money = (job.cost or job.price) if job.charge is not Charge.NONE else None
    about = "perhaps" if job.charge is Charge.MAYBE else "about"
    lapses = image.expires_at - now if image and image.expires_at and not image.saved_at else None
    facts = [
        job.id if image is None or len(job.images) == 1 else f"{job.id}.{image.index}",
        job.model or job.provider,
        str(size or ""),
        f"{about} {price.show(money)}" if money else "",
        f"{job.created_at.astimezone():%Y-%m-%d %H:%M}",
        "sandbox" if job.sandbox else "",
        f"lapses in {human_span(lapses)}" if lapses is not None else "",
    ]
    return [fact for fact in facts if fact]


def _shot(image: Image | None, job: Job) -> Shot:
    if image is None:
        return Shot(words="no picture" if job.state is not State.RUNNING else "being made")
    if image.path is None or image.saved_at is None:
        return Shot(words="not on disk")
    return Shot(path=image.path, width=image.width, height=image.height)


def _why(job: Job, image: Image | None) -> str:
    if image is not None and image.warning:
        return image.warning
    problem = (image.problem if image else None) or job.problem
    return problem.message if problem else ""


def _card(template: Template, card: Card, folder: Path, *, is_portable: bool) -> str:
    links = ", ".join(
        f'<a href="#{quote(anchor)}">{_text(words)}</a>' if anchor else _text(words)
        for words, anchor in card.sources
    )
    return template.substitute(
        anchor=_text(card.anchor),
        shots="".join(_picture(shot, card, folder, is_portable=is_portable) for shot in card.shots),
        prompt=_text(card.prompt),
        mood=card.mood,
        state=_text(card.state),
        facts="".join(f" · {_text(fact)}" for fact in card.facts),
        why=f'<p class="why">{_text(card.why)}</p>' if card.why else "",
        sources=f'<p class="facts">from {links}</p>' if links else "",
        command=_command(card.command) if card.command else "",
    )


def _command(line: str) -> str:
    button = '<button type="button" class="copy">copy</button>'
    return f"<details><summary>make it again</summary><pre>{_text(line)}</pre>{button}</details>"


def _picture(shot: Shot, card: Card, folder: Path, *, is_portable: bool) -> str:
    label = f"<figcaption>{_text(shot.label)}</figcaption>" if shot.label else ""
    href, words = "", shot.words
    if shot.path is not None:
        inside = _below(shot.path, folder)
        if inside is None:
            words = "elsewhere on this disk"
            href = "" if is_portable else "file://" + quote(_bytes(shot.path))
        else:
            size = f' width="{shot.width}" height="{shot.height}"' if shot.width else ""
            alt = _text(shorten(f"{shot.label} {card.prompt}".strip(), _LONGEST_ALT))
            image = f'<img loading="lazy" decoding="async" src="{quote(inside)}"{size} alt="{alt}">'
            return f'<figure>{label}<a class="shot" href="{quote(inside)}">{image}</a></figure>'
    shown = f'<a class="none" href="{href}">{_text(words)}</a>' if href else ""
    return f"<figure>{label}{shown or f'<div class=none>{_text(words)}</div>'}</figure>"


def _below(path: str, folder: Path) -> bytes | None:
    """Return where a picture lies seen from the page's folder; None where that is not below it."""
    place, name = os.path.split(path)
    try:
        return b"./" + _bytes(str(Path(_real(place)).relative_to(folder) / name))
    except (OSError, ValueError):
        return None


@cache
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _bytes(path: str) -> bytes:
    """Return a path's own bytes: not each is UTF-8."""
    return path.encode("utf-8", "surrogateescape")


def _text(value: str) -> str:
    """Return text that no page reads as anything else, within an element or an attribute."""
    return escape(clean(value), quote=True)


def _part(name: str) -> str:
    return files("seedream_cli.cli.output").joinpath("page", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()
