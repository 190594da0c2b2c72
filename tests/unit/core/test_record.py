"""Records are dataclasses of which nothing is compiled."""

from __future__ import annotations

import dataclasses
import inspect
import threading
from typing import ClassVar

import pytest

from seedream_cli.core.record import dataclass, field, fields, replace


def make_point() -> type:
    """Return a record class of which there is no instance yet."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Point:
        """A place."""

        UNIT: ClassVar[str] = "m"
        x: int
        y: int = 2
        names: list[str] = field(default_factory=list)
        note: str = field(default="", compare=False)

        def __str__(self) -> str:
            """Write it."""
            return f"{self.x}/{self.y} {self.UNIT}"

    return Point


def test_nothing_is_compiled_for_a_record() -> None:
    """What a record can do is not made of text: each method is a function of a module's own."""
    methods = [each for each in vars(make_point()).values() if inspect.isfunction(each)]
    assert len(methods) > 5
    assert all(each.__code__.co_filename.endswith(".py") for each in methods)


def test_an_instance_is_that_of_a_dataclass() -> None:
    """Defaults, equality, hash, words, fields and copies are those of `dataclasses`."""
    point = make_point()
    one = point(x=1)
    assert (one.x, one.y, one.names, str(one)) == (1, 2, [], "1/2 m")
    assert one == point(x=1, y=2, note="other")
    assert one != point(x=2)
    assert repr(one).endswith("Point(x=1, y=2, names=[], note='')")
    assert replace(one, y=5) == dataclasses.replace(one, y=5) == point(x=1, y=5)
    assert one.names is not point(x=1).names
    assert not hasattr(one, "__dict__")
    for places, names in (((1,), {}), ((), {"y": 1}), ((), {"x": 1, "z": 2})):
        with pytest.raises(TypeError):
            point(*places, **names)


def test_what_is_frozen_stays() -> None:
    """No field of a frozen record is assigned to or deleted."""
    point = make_point()(x=1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="x is never assigned to"):
        point.x = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    assert point.x == 1


def test_fields_are_known_before_there_is_an_instance() -> None:
    """Who asks a class for its fields gets them."""
    assert [each.name for each in fields(make_point())] == ["x", "y", "names", "note"]
    point = make_point()
    assert dataclasses.is_dataclass(point)
    assert fields(point) == fields(point)  # worked out once: each is the very same
    assert all(a is b for a, b in zip(fields(point), fields(point), strict=True))


def test_an_order_is_by_fields_and_others_are_changed() -> None:
    """`order` sorts by the fields; a record that is not frozen is changed, and has no hash."""

    @dataclass(slots=True, order=True)
    class Version:
        """A number."""

        major: int
        minor: int = 0

        def __post_init__(self) -> None:
            """Count from zero."""
            self.minor = max(self.minor, 0)

    assert max([Version(2), Version(1, 5), Version(1, -1)]) == Version(2, 0)
    with pytest.raises(TypeError):
        Version(1, major=1)  # type: ignore[misc] # that is the mistake
    assert Version.__match_args__ == ("major", "minor")
    changed = Version(1)
    changed.major = 7
    assert changed == Version(7)
    with pytest.raises(TypeError):
        hash(changed)


def test_what_has_no_slots_is_no_record() -> None:
    """Slots have to be said: what a reader sees is what there is."""
    with pytest.raises(TypeError, match="slots"):

        @dataclass(frozen=True)
        class Loose:
            """Without slots."""


def test_many_threads_may_make_the_first_instance() -> None:
    """First instances that are made at once are whole, and equal to each other."""
    for _ in range(10):
        point, gate = make_point(), threading.Barrier(4)
        made: list[object] = []

        def make(
            point: type = point, made: list[object] = made, gate: threading.Barrier = gate
        ) -> None:
            gate.wait()
            made.append(point(x=1, names=["a"]))

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made == [point(x=1, names=["a"])] * 4
