"""A page of pictures: one HTML file without a network, made of templates that escape everything."""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64encode
from html import escape
from importlib.resources import files
from pathlib import Path
from stat import S_ISREG
from string import Template
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.paths import explain_unreadable, is_folder, is_there
from seedream_cli.core.record import dataclass, field
from seedream_cli.core.text import clean, shell_line, shorten
from seedream_cli.storage.files.atomic import replace_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_MARK: Final = '<meta name="generator" content="seedream gallery">'
"""Near the top of each page of ours, of any version: no other file is replaced by one."""
_HEAD: Final = 1024
"""Bytes within which the mark stands."""
_LONGEST_ALT: Final = 120
"""Columns of a picture's text for those who do not see it; the whole prompt stands below it."""
_ABSOLUTE: Final = re.compile(r"(?<![\w./:])/(?:[^\s/]+/)+(?=[^\s/])")
"""The folders of an absolute path within a sentence, and of no address."""
_ENDINGS: Final = (".html", ".htm")


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
    name: str = ""
    """Its heading."""
    prompt: str
    state: str
    mood: str = "wait"
    """`good`, `bad`, or `wait`."""
    facts: Sequence[str] = ()
    shots: Sequence[Shot] = ()
    why: str = ""
    hint: str = ""
    """What to type next, a command a line."""
    sources: Sequence[tuple[str, str]] = ()
    """What it was made from: words, and the anchor of its card, which the page may not have."""
    command: str = ""
    """Makes it again."""


def check_page(file: str) -> None:
    """Raise `UsageError` where no page can be, or something lies that is none of ours.

    Raises `StorageError` where its folder takes no files. Nothing is opened that is no file.
    """
    if not file.lower().endswith(_ENDINGS):
        raise UsageError(
            f"--gallery {file}: no browser takes that for a page",
            hint=shell_line(["--gallery", f"{file.strip('-') or 'pictures'}.html"]),
        )
    target = os.path.realpath(file)
    try:
        if not S_ISREG(Path(target).stat().st_mode):
            what = "a folder" if is_folder(target) else "no ordinary file"
            raise UsageError(f"{file} is {what}", hint="give --gallery another name")
        with Path(target).open("rb") as opened:
            head = opened.read(_HEAD)
    except FileNotFoundError:
        _check_folder(os.path.dirname(target))  # noqa: PTH120 - the path is text
        return
    except (OSError, ValueError) as error:
        raise explain_unreadable(file, error) from error
    if _MARK.encode() not in head:
        raise UsageError(
            f"{file} is there and no gallery of seedream's; it is left alone",
            hint="give --gallery another name",
        )
    _check_folder(os.path.dirname(target))  # noqa: PTH120 - as above


def _check_folder(folder: str) -> None:
    while not is_there(folder) and folder != os.path.dirname(folder):  # noqa: PTH120 - as above
        folder = os.path.dirname(folder)  # noqa: PTH120 - as above
    if not is_folder(folder):
        raise UsageError(f"{folder} is no folder", hint="give --gallery another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"{folder} does not take files", hint="give --gallery another folder")


def write_page(
    file: str, cards: Iterable[Card], *, title: str, note: str, is_portable: bool = False
) -> None:
    """Write the page of `cards`; raise `StorageError` where its folder does not take it.

    It lies where a symbolic link leads, and names pictures from there. A `portable` page names no
    place outside its folder: it may be published.
    """
    check_page(file)
    target = os.path.realpath(file)
    folder = Path(target).parent
    text = page(cards, title=title, note=note, folder=folder, is_portable=is_portable)
    replace_file(target, text.encode("utf-8", "replace"))


def page(
    cards: Iterable[Card], *, title: str, note: str, folder: Path, is_portable: bool = False
) -> str:
    """Return the page that lies in `folder`."""
    shown = list(cards)
    style, script = _part("style.css"), _part("script.js")
    writer = _Writer(
        folder=folder, is_portable=is_portable, anchors={card.anchor for card in shown}
    )
    template = Template(_part("card.html").rstrip("\n"))
    paths = (shot.path for card in shown for shot in card.shots if shot.path is not None)
    # Without an icon browsers ask for /favicon.ico; our policy lets in nothing but pictures.
    icon = next(filter(None, map(writer.below, paths)), "#")
    return Template(_part("page.html")).substitute(
        title=_text(title),
        note=_text(note),
        icon=icon,
        style=style,
        script=script,
        style_hash=_digest(style),
        script_hash=_digest(script),
        cards="\n".join(template.substitute(writer.parts(card)) for card in shown),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    """Writes the parts of cards for one page."""

    folder: Path
    is_portable: bool
    anchors: Collection[str]
    """Of all cards of the page."""
    _real: dict[str, str] = field(default_factory=dict)
    """Folders without symbolic links, by the names that pictures give."""

    def parts(self, card: Card) -> dict[str, str]:
        """Return what the template of a card takes."""
        links = ", ".join(
            f'<a href="#{quote(_id(anchor))}">{_text(words)}</a>'
            if anchor in self.anchors
            else _text(words)
            for words, anchor in card.sources
        )
        facts = " · ".join(f"<span>{_text(fact)}</span>" for fact in card.facts)
        return {
            "anchor": _id(card.anchor),
            "kind": f"{card.mood} pair" if len(card.shots) > 1 else card.mood,
            "shots": "".join(self._picture(shot, card) for shot in card.shots),
            "name": _text(card.name),
            "prompt": _text(card.prompt),
            "state": _text(card.state),
            "why": f'<p class="why">{self._sentence(card.why)}</p>' if card.why else "",
            "hint": self._hint(card.hint) if card.hint else "",
            "facts": f'<p class="facts">{facts}</p>' if facts else "",
            "sources": f'<p class="facts">made from {links}</p>' if links else "",
            "command": _command(card.command) if card.command else "",
        }

    def _sentence(self, text: str) -> str:
        """Return words of ours; a portable page keeps to itself where this machine has what."""
        return _text(_ABSOLUTE.sub("…/", text) if self.is_portable else text)

    def _hint(self, text: str) -> str:
        """Return commands as they are typed, and words as words."""
        if not text.startswith("seedream "):
            return f'<p class="why">{self._sentence(text)}</p>'
        lines = "".join(f"<span>{_text(line)}</span>" for line in text.splitlines())
        return f'<pre class="hint">{lines}</pre>'

    def _picture(self, shot: Shot, card: Card) -> str:
        label = f"<figcaption>{_text(shot.label)}</figcaption>" if shot.label else ""
        href, words = "", shot.words
        if shot.path is not None:
            inside = self.below(shot.path)
            if inside is not None:
                size = f' width="{shot.width}" height="{shot.height}"' if shot.width else ""
                alt = _text(
                    shorten(f"{shot.label} {clean(card.prompt) or card.name}".strip(), _LONGEST_ALT)
                )
                image = f'<img loading="lazy" decoding="async" src="{inside}"{size} alt="{alt}">'
                return f'<figure>{label}<a class="shot" href="{inside}">{image}</a></figure>'
            words = "elsewhere on this disk"
            href = "" if self.is_portable else "file://" + quote(_bytes(shot.path))
        inner = f'<a href="{href}">{_text(words)}</a>' if href else _text(words)
        return f'<figure>{label}<div class="none">{inner}</div></figure>'

    def below(self, path: str) -> str | None:
        """Return where a picture lies seen from the page's folder; None: it is not below it."""
        place, name = os.path.split(path)
        if place not in self._real:
            self._real[place] = os.path.realpath(place)
        try:
            inside = Path(self._real[place]).relative_to(self.folder) / name
        except ValueError:
            return None
        return quote(b"./" + _bytes(str(inside)))


def _command(line: str) -> str:
    button = '<button type="button" class="copy">copy</button>'
    return f"<details><summary>make it again</summary><pre>{_text(line)}</pre>{button}</details>"


def _id(anchor: str) -> str:
    """Return a card's id, of which no letter means anything to HTML."""
    return quote(anchor.encode("utf-8", "surrogatepass"), safe="")


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
