"""The lock's lines: written and read again, merged by a version control, torn by a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seedream_cli.batch.lock import entries as lock
from seedream_cli.batch.lock.entries import Entry
from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Money

HERO = Entry(
    name="hero",
    n=1,
    output="site/hero.png",
    description_digest=f"1:{'a' * 64}",
    sha256="b" * 64,
    size=123,
    provider="kie",
    model="seedream/4.5-text-to-image",
    keyword="2K",
    aspect="16:9",
    price=Money(Decimal("0.0325"), "USD"),
    date="2026-11-21",
)
LINE = lock.write_line(HERO)

# Halves of characters too: a path may hold bytes that are no UTF-8.
texts = st.text(st.characters(), min_size=1, max_size=12)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
entries = st.builds(
    Entry,
    name=texts,
    n=st.integers(1, 10**6),
    of=st.none() | st.integers(1, 15),
    output=texts,
    label=st.none() | texts,
    description_digest=texts,
    sha256=digests,
    made=st.none() | digests,
    accepted=st.booleans(),
    size=st.integers(0, 2**60),
    provider=texts,
    model=st.text(max_size=8),
    keyword=st.none() | texts,
    aspect=st.none() | texts,
    price=st.none()
    | st.builds(
        Money,
        st.decimals(0, 10**6, places=4, allow_nan=False, allow_infinity=False),
        st.sampled_from(["USD", "CNY"]),
    ),
    date=st.text(max_size=10),
    sandbox=st.booleans(),
)


@given(st.lists(entries, max_size=6))
def test_what_is_written_is_read_again(found: list[Entry]) -> None:
    """Nothing is lost on the way to disk and back, whatever a name holds; lines come sorted."""
    text = lock.write(found).encode().decode()
    assert lock.parse(text, file="art.lock") == sorted(found, key=lambda entry: entry.key)


@given(st.lists(st.text() | st.sampled_from([LINE, "{}", "<<<<<<< HEAD", "\n"])).map("\n".join))
@example("9" * 5000)
@example("[" * 100_000)
@example('{"name":"\\ud800","n":1e999}\n')
def test_any_text_is_a_lock_or_a_usage_error(text: str) -> None:
    """Whatever somebody makes of the file, reading it ends with entries or in one way."""
    try:
        found = lock.parse(text, file="art.lock")
    except UsageError:
        return
    again = lock.parse(lock.write(found), file="art.lock")
    assert again == sorted(found, key=lambda entry: entry.key)


def test_a_line_is_as_documented() -> None:
    """People and merge tools see these words, in this order; what says nothing is left out."""
    assert list(json.loads(LINE)) == [
        *("name", "n", "output", "fingerprint", "sha256", "bytes", "provider", "model", "size"),
        *("aspect", "price", "date"),
    ]
    assert json.loads(LINE)["price"] == "0.0325 USD"
    full = replace(HERO, of=4, label="tree", made="c" * 64, accepted=True, sandbox=True)
    more = {"of": 4, "label": "tree", "made": "c" * 64, "accepted": True, "sandbox": True}
    assert more.items() <= json.loads(lock.write_line(full)).items()


@pytest.mark.parametrize("end", ["", LINE[:40], '{"name": "he'])
def test_a_torn_last_line_is_left_out(end: str) -> None:
    """What a kill left of the last line costs that line only."""
    assert lock.parse(LINE + end, file="art.lock") == [HERO]


def test_a_last_line_without_its_end_counts() -> None:
    """An editor that leaves the last line end out loses nothing."""
    assert lock.parse(LINE.strip(), file="art.lock") == [HERO]


def test_a_bad_line_within_is_named() -> None:
    """A line that is none, with others behind it, is an error with its number and a way out."""
    with pytest.raises(UsageError, match=r"^art\.lock:2: ") as caught:
        lock.parse(f"{LINE}nonsense\n{LINE}", file="art.lock")
    assert "--accept" in caught.value.hint


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("marker", ["<<<<<<< HEAD", "=======", ">>>>>>> theirs", "||||||| base"])
def test_conflict_markers_are_named_with_the_fix(marker: str, end: str) -> None:
    """A merge by hand that is not done says where, and how it need not be done again."""
    with pytest.raises(UsageError, match=r"^art\.lock:2: .*conflict") as caught:
        lock.parse(f"{LINE.strip()}{end}{marker}{end}{LINE}", file="art.lock")
    assert "merge=union" in caught.value.hint


def test_twins_stay_in_their_order() -> None:
    """Which of two lines counts is not decided here, so both are handed out."""
    other = replace(HERO, description_digest="1:other")
    found = lock.parse(lock.write([other, HERO]), file="art.lock")
    assert found == [other, HERO]


@pytest.mark.parametrize("price", ["NaN USD", "sNaN USD", "Infinity USD", "much USD", "3", ""])
def test_a_price_that_is_no_amount_is_not_known(price: str) -> None:
    """A sum of prices never fails for what somebody wrote into the file."""
    line = json.dumps({**json.loads(LINE), "price": price})
    assert lock.parse(line, file="art.lock") == [replace(HERO, price=None)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("output", ""), ("sha256", "B" * 64), ("sha256", "b" * 63), ("provider", 3)],
)
def test_a_line_without_the_least_is_none(field: str, value: object) -> None:
    """A line that names no row, no file or no digest is not taken for one that does."""
    line = json.dumps({**json.loads(LINE), field: value})
    with pytest.raises(UsageError):
        lock.parse(f"{line}\n", file="art.lock")


@pytest.mark.parametrize(
    ("manifest", "shard", "name"),
    [
        ("art.toml", None, "art.lock"),
        ("/x.y/art.toml", None, "/x.y/art.lock"),
        ("/x.y/art", None, "/x.y/art.lock"),
        ("a.b.jsonl", (2, 3), "a.b.2-of-3.lock"),
        (".art", None, ".art.lock"),
    ],
)
def test_the_name_of_a_lock(manifest: str, shard: tuple[int, int] | None, name: str) -> None:
    """The lock lies beside its manifest; a part says which one it is of how many."""
    assert lock.name_of(manifest, shard) == name
    assert lock.part_of(manifest, name.rpartition("/")[2]) == shard
    assert lock.whole_of(name) == lock.name_of(manifest)


@pytest.mark.parametrize(
    "name", ["art.lock", "art.0-of-3.lock", "other.1-of-2.lock", "art.1-of-2.lock.lock", "art.x"]
)
def test_other_files_are_no_parts(name: str) -> None:
    """A file that only resembles a part is not read as one."""
    assert lock.part_of("art.toml", name) is None
