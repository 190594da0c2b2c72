"""Dataclasses that cost a start next to nothing: each is compiled when its first instance is made.

`dataclasses` writes and compiles five methods of every class while its module is imported, and a
command makes instances of few of the records whose modules it imports. `dataclass` here takes the
same words and has `dataclasses` itself do that work later; for mypy it is `dataclasses.dataclass`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, field, fields, replace
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass

__all__ = ["dataclass", "field", "fields", "replace"]

_NEVER_COPIED: Final = frozenset({"__dict__", "__weakref__", "__setattr__", "__delattr__"})

if not TYPE_CHECKING:

    def dataclass(**options: bool) -> Callable[[type], type]:
        """Make a class a record; it has slots, and inherits no fields.

        `options` are those of https://docs.python.org/3/library/dataclasses.html (2026-11-30).
        """
        if not options.pop("slots", False):
            raise TypeError("a record has slots")
        return lambda written: _record(written, options)


def _record(written: type, options: dict[str, bool]) -> type:
    """Return a class with slots in place of `written`; what makes an instance completes it."""
    names = tuple(k for k, v in written.__annotations__.items() if not v.startswith("ClassVar"))
    own = {k: v for k, v in vars(written).items() if k not in {"__dict__", "__weakref__"}}

    def complete() -> None:
        """Let `dataclasses` make a copy of what was written, and take its methods.

        Two threads may do so at once: each has a copy of its own, and both take the same.
        """
        compiled: Callable[[type], type] = dataclasses.dataclass(**options)
        copy = type(written)(written.__name__, written.__bases__, dict(own))
        copy.__qualname__ = written.__qualname__
        plain = vars(compiled(copy))
        made = {k: v for k, v in plain.items() if k not in {*own, *names, *_NEVER_COPIED}}
        made["__init__"] = made.pop("__init__")  # the last: who sees it sees all
        for name, value in made.items():
            setattr(record, name, value)

    def begin(self: object, *args: object, **given: object) -> None:
        complete()
        vars(record)["__init__"](self, *args, **given)

    guards = {"__setattr__": _refuse, "__delattr__": _refuse} if options.get("frozen") else {}
    written_only = {k: v for k, v in own.items() if k not in names}
    record = type(written)(
        written.__name__,
        written.__bases__,
        {"__slots__": names, "__init__": begin, "__dataclass_fields__": _Fields(complete)}
        | guards
        | written_only,
    )
    record.__qualname__ = written.__qualname__
    return record


def _refuse(self: object, name: str, _value: object = None) -> NoReturn:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} is never assigned to")


class _Fields:
    """Stands for a class's fields until somebody asks for them or makes an instance."""

    def __init__(self, complete: Callable[[], None]) -> None:
        self._complete = complete

    def __get__(self, _instance: object, owner: type) -> object:
        self._complete()
        return owner.__dict__["__dataclass_fields__"]
