"""Dataclasses that cost a start next to nothing: their methods are closures, none is compiled.

`dataclasses` writes five methods of every class as text and compiles them, for 0.5 to 2 ms a class.
What `dataclass` makes here takes the same words and behaves the same; an instance takes about as
long to make. For mypy it is `dataclasses.dataclass`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from dataclasses import dataclass, field, fields, replace

__all__ = ["dataclass", "field", "fields", "replace"]

_ORDERS: Final = (operator.lt, operator.le, operator.gt, operator.ge)


class _Field:
    """What a class says of one of its fields beside the type."""

    def __init__(self, **said: object) -> None:
        """Take the words of `dataclasses.field`: `default`, `default_factory`, `init`, `compare`.

        What is not taken by `__init__` has no default: `__post_init__` sets it.
        """
        self.said = said


if not TYPE_CHECKING:
    field = _Field

    def dataclass(
        *, slots: bool = False, frozen: bool = False, kw_only: bool = False, order: bool = False
    ) -> Callable[[type], type]:
        """Make a class a record; it has slots, and inherits no fields.

        See https://docs.python.org/3/library/dataclasses.html (2026-11-30).
        """
        if not slots:
            raise TypeError("a record has slots")
        return lambda written: _record(written, frozen=frozen, kw_only=kw_only, order=order)

    def fields(record: object) -> tuple[object, ...]:
        """Return what `dataclasses.fields` does."""
        import dataclasses

        return dataclasses.fields(record)

    def replace(record: object, **changes: object) -> object:
        """Return a copy with other values."""
        taken = {name: getattr(record, name) for name in record.__taken__}
        return record.__class__(**{**taken, **changes})


def _record(written: type, *, frozen: bool, kw_only: bool, order: bool) -> type:
    """Return a class with slots in place of `written`."""
    own = {k: v for k, v in vars(written).items() if k not in {"__dict__", "__weakref__"}}
    names = [k for k, v in written.__annotations__.items() if not v.startswith("ClassVar")]
    said = {name: own.pop(name) for name in names if name in own}
    said = {k: v.said if isinstance(v, _Field) else {"default": v} for k, v in said.items()}
    taken = tuple(name for name in names if said.get(name, {}).get("init", True))
    compared = [name for name in names if said.get(name, {}).get("compare", True)]
    options = {"frozen": frozen, "kw_only": kw_only, "order": order}
    methods = {
        "__slots__": names,
        "__taken__": taken,
        "__match_args__": () if kw_only else taken,
        "__dataclass_fields__": _Fields(dict(own), said, options),
        "__repr__": _repr,
        **_comparisons(compared, is_ordered=order),
        **({"__setattr__": _refuse, "__delattr__": _refuse} if frozen else {"__hash__": None}),
        **own,
    }
    record = type(written)(written.__name__, written.__bases__, methods)
    record.__qualname__ = written.__qualname__
    record.__init__ = _initialiser(record, taken, said, is_keyed=kw_only)  # type: ignore[misc]
    return record


def _initialiser(
    record: type, taken: Sequence[str], said: Mapping[str, Mapping[str, object]], *, is_keyed: bool
) -> Callable[..., None]:
    """Return the `__init__` of a record that takes values by these names."""
    puts = [(name, vars(record)[name].__set__) for name in taken]  # not kept by a frozen record
    defaults = {name: said[name]["default"] for name in taken if "default" in said.get(name, {})}
    makes = [(k, v["default_factory"]) for k, v in said.items() if "default_factory" in v]
    finish = getattr(record, "__post_init__", None)

    def initialise(self: object, /, *args: object, **given: object) -> None:
        if args:
            placed = dict(zip(taken, args, strict=False))
            if is_keyed or len(args) > len(taken) or placed.keys() & given.keys():
                raise TypeError(f"{record.__qualname__} takes no such values by their place")
            given = placed | given
        values = {**defaults, **given}
        for name, make in makes:
            if name not in values:
                values[name] = make()  # type: ignore[operator]
        try:
            for name, put in puts:
                put(self, values[name])
        except KeyError as error:
            raise TypeError(f"{record.__qualname__} lacks a value: {error}") from None
        if len(values) != len(puts):
            unknown = ", ".join(values.keys() - set(taken))
            raise TypeError(f"{record.__qualname__} has no field {unknown}")
        if finish is not None:
            finish(self)

    return initialise


def _comparisons(names: Sequence[str], *, is_ordered: bool) -> dict[str, object]:
    """Return the methods that compare records by the values of these fields."""
    key = operator.attrgetter(*names) if names else lambda _: ()

    def comparison(compare: Callable[..., bool]) -> Callable[[object, object], object]:
        def method(self: object, other: object) -> object:
            is_like = other.__class__ is self.__class__
            return compare(key(self), key(other)) if is_like else NotImplemented

        return method

    orders = {f"__{each.__name__}__": comparison(each) for each in _ORDERS if is_ordered}
    return {
        "__eq__": comparison(operator.eq),
        "__hash__": lambda self: hash(key(self)),
        **orders,
    }


def _repr(self: object) -> str:
    names: Sequence[str] = self.__slots__  # type: ignore[attr-defined]
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
    return f"{self.__class__.__qualname__}({values})"


def _refuse(self: object, name: str, _value: object = None) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"{type(self).__name__}.{name} is never assigned to")


class _Fields:
    """Stands for what `dataclasses` keeps of a class until somebody asks for it."""

    def __init__(
        self,
        own: dict[str, object],
        said: Mapping[str, Mapping[str, object]],
        options: Mapping[str, bool],
    ) -> None:
        self._own = own
        self._said = said
        self._options = options

    def __get__(self, _instance: object, owner: type) -> object:
        import dataclasses

        said = {name: dataclasses.field(**each) for name, each in self._said.items()}  # type: ignore[call-overload]
        copy: type = type(owner)(owner.__name__, (), {**self._own, **said})
        found = vars(dataclasses.dataclass(**self._options)(copy))["__dataclass_fields__"]
        type.__setattr__(owner, "__dataclass_fields__", found)  # asked for once
        return found
