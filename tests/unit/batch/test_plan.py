"""Which pictures are current: a manifest against its lock and files that are only told of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedream_cli.batch.action import Act, Action
from seedream_cli.batch.lock import entries as lock
from seedream_cli.batch.lock.entries import Entry
from seedream_cli.batch.manifest import read as manifest
from seedream_cli.batch.plan import Planner
from seedream_cli.batch.resolve import BatchContext, aspect_of, keyword_of, sort_by_source
from seedream_cli.core.errors import UsageError
from seedream_cli.providers import PROVIDERS
from seedream_cli.storage.files.digest import FileDigest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.batch.manifest.read import Manifest, Row
    from seedream_cli.providers.spec import Provider

KEEP, MOVE, MAKE = Act.KEEP, Act.MOVE, Act.MAKE
LEAVE, CONFLICT = Act.LEAVE, Act.CONFLICT

TWO = '[images.hero]\nprompt = "a fox"\n[images.sea]\nprompt = "the sea"\n'


def sha(text: str) -> str:
    """Digest what a file is said to hold."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Place:
    """A folder that is only told of, a lock, and a machine."""

    files: dict[str, str] = field(default_factory=dict)
    """What lies where, told from the manifest's folder."""
    lock: list[Entry] = field(default_factory=list)
    provider: str | None = "ark"
    """Of the account that this machine has."""
    maker: str | None = None
    """Typed as `-p`."""
    typed: dict[str, object] = field(default_factory=dict)
    now: datetime = datetime(2026, 11, 30, tzinfo=UTC)
    sandbox: bool = False
    is_lock_only: bool = False
    looked: list[str] = field(default_factory=list)
    digested: list[str] = field(default_factory=list)

    def planner(self, text: str | Manifest, rows: Sequence[Row] | None = None) -> Planner:
        """Hold a manifest against all that."""
        context = BatchContext(
            base="/m",
            typed=self.typed,
            sandbox=self.sandbox,
            is_lock_only=self.is_lock_only,
            providers=PROVIDERS,
            provider_of=self._provider_of,
            maker_of=lambda _: PROVIDERS[self.maker] if self.maker else None,
            look=self._look,
            digest_of=self._digest_of,
            now=self.now,
            path="/m/art.toml",
        )
        return Planner(read(text) if isinstance(text, str) else text, self.lock, context, rows=rows)

    def see(self, text: str) -> list[Action]:
        """Return what is found of each picture."""
        return self.planner(text).plan().actions

    def acts(self, text: str) -> dict[str, Act]:
        """Return what is found, by the pictures' names."""
        return {picture.name: picture.act for picture in self.see(text)}

    def make(self, text: str, mark: str = "") -> None:
        """Make all that is to be made, move what is to be moved, and write the lock."""
        planner = self.planner(text)
        plan = planner.plan()
        pictures, kept = plan.actions, dict(plan.kept)
        for picture in pictures:
            if picture.act is MOVE and picture.entry is not None:
                self.files[picture.output] = self.files.pop(picture.entry.output)
                kept[picture.entry.key] = replace(picture.entry, output=picture.output)
        made: dict[tuple[str, int], str] = {}
        for row in sort_by_source(manifest_rows(pictures)):
            for picture in pictures:
                if picture.row is row and picture.act is MAKE:
                    for entry in self._made(planner, picture, made, mark):
                        kept[entry.key] = entry
                        made[entry.key] = entry.sha256
        self.lock = lock.parse(lock.write(kept.values()), file="art.lock")

    def _made(
        self, planner: Planner, picture: Action, made: dict[tuple[str, int], str], mark: str
    ) -> list[Entry]:
        target = planner.target(picture.row, made)
        assert target.description_digest is not None
        request, entries = target.resolved.request, []
        for n in range(picture.n, picture.n + (picture.of or 1)):
            output = picture.output.replace("-1.", f"-{n}.") if picture.of else picture.output
            self.files[output] = f"{target.description_digest} {n} {mark}"
            entries.append(
                Entry(
                    name=picture.row.name,
                    n=n,
                    of=picture.of,
                    output=output,
                    description_digest=target.description_digest,
                    sha256=sha(self.files[output]),
                    size=1,
                    provider=target.provider.name,
                    model=request.model,
                    keyword=keyword_of(request),
                    aspect=aspect_of(request),
                    date="2026-11-21",
                    sandbox=self.sandbox,
                )
            )
        return entries

    def _provider_of(self, row: Row, locked: str | None) -> Provider | None:
        name = row.profile or locked or self.provider
        return PROVIDERS.get(name) if name else None

    def _look(self, path: str) -> FileDigest | None:
        self.looked.append(path)
        text = self.files.get(path.removeprefix("/m/"))
        return None if text is None else FileDigest(sha256=sha(text), size=len(text))

    def _digest_of(self, path: str) -> str:
        self.digested.append(path)
        found = self._look(path)
        if found is None:
            raise UsageError(f"there is no file {path}")
        return found.sha256


def read(text: str) -> Manifest:
    """Read a manifest."""
    kind = manifest.Syntax.TOML
    return manifest.read(text, file="art.toml", kind=kind, load=lambda name: name)


def manifest_rows(pictures: Sequence[Action]) -> list[Row]:
    """Return the rows of pictures, each once."""
    return list({picture.row.name: picture.row for picture in pictures}.values())


def rows(**prompts: str) -> str:
    """Write a manifest of plain rows."""
    return "".join(f'[images.{name}]\nprompt = "{text}"\n' for name, text in prompts.items())


@pytest.fixture
def place() -> Place:
    """Begin with nothing."""
    return Place()


# -- one picture -----------------------------------------------------------------------------------


def test_new_pictures_are_made_once(place: Place) -> None:
    """What was made and lies there is current, whatever else is on the disk."""
    assert [(p.output, p.reason) for p in place.see(TWO)] == [
        ("hero.jpg", "new"),
        ("sea.jpg", "new"),
    ]
    place.make(TWO)
    place.files["other.jpg"] = "stranger"
    assert place.acts(TWO) == {"hero": KEEP, "sea": KEEP}


def test_another_prompt_makes_one_picture_anew(place: Place) -> None:
    """Only the row that changed is made; its file is ours to replace; model and size stay."""
    place.typed = {"model": "doubao-seedream-4-0-20260415", "size": "4K"}
    place.make(TWO)
    place.typed = {}
    text = TWO.replace("a fox", "a hen")
    hero, sea = place.see(text)
    assert (hero.act, hero.reason) == (MAKE, "its description changed")
    assert hero.replaces == {sha(place.files["hero.jpg"])}
    assert hero.price is not None
    assert sea.act is KEEP
    request = place.planner(text).target(hero.row).resolved.request
    assert (request.model, request.keyword) == ("doubao-seedream-4-0-20260415", "4K")


def test_a_format_that_surprised_is_looked_for(place: Place) -> None:
    """A PNG from a model that makes JPEG, by its documents, is ours to replace all the same."""
    place.make(TWO)
    place.files["hero.png"] = place.files.pop("hero.jpg")
    place.lock = [replace(e, output=e.output.replace("hero.jpg", "hero.png")) for e in place.lock]
    assert place.acts(TWO) == {"hero": KEEP, "sea": KEEP}
    (hero, _) = place.see(TWO.replace("a fox", "a hen"))
    assert (hero.output, hero.replaces) == (
        "hero.png",
        frozenset({sha(place.files["hero.png"])}),
    )


def test_a_missing_file_is_made(place: Place) -> None:
    """The lock alone is no picture; with `--no-files` it is enough."""
    place.make(TWO)
    del place.files["hero.jpg"]
    assert place.see(TWO)[0].reason == "its file is missing"
    place.is_lock_only = True
    place.looked.clear()
    assert place.acts(TWO) == {"hero": KEEP, "sea": KEEP}
    assert place.looked == []


def test_a_file_changed_by_hand_is_left(place: Place) -> None:
    """Nobody's work is replaced: with the same words it is left, with others in the way."""
    place.make(TWO)
    place.files["hero.jpg"] = "retouched"
    (hero, _) = place.see(TWO)
    assert (hero.act, hero.reason) == (LEAVE, "its file was changed by hand")
    (hero, _) = place.see(TWO.replace("a fox", "a hen"))
    assert hero.act is CONFLICT
    assert hero.stranger == sha("retouched")
    assert "changed by hand" in hero.reason


def test_a_stranger_in_the_way_is_not_replaced(place: Place) -> None:
    """A file that the lock does not know stops what would take its name."""
    place.files["hero.jpg"] = "stranger"
    (hero, sea) = place.see(TWO)
    assert (hero.act, sea.act) == (CONFLICT, MAKE)
    assert hero.reason == "new; hero.jpg is there and not in the lock"


def test_a_renamed_output_is_moved(place: Place) -> None:
    """Another name is no other picture, also where it now says which format that is."""
    place.make(TWO)
    for output in ("site/hero.jpg", "site/fox", "{slug}", "{model}/{name}.{ext}"):
        (hero, _) = place.see(TWO.replace('fox"', f'fox"\noutput = "{output}"'))
        assert hero.act is MOVE, output
    named = TWO.replace('fox"', 'fox"\noutput = "site/hero.jpg"')
    place.make(named)
    assert place.acts(named) == {"hero": KEEP, "sea": KEEP}
    assert place.acts(TWO)["hero"] is KEEP  # nothing says where: it stays


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ("{name}-{n}", "hero-1.jpg"),
        ("{name}-{n:03}.{ext}", "hero-001.jpg"),
        ("{provider}/{slug}", "ark/a-fox.jpg"),
        ("{name}-{seed}.jpg", "hero.jpg"),
        ("{name}-{width}x{height}", "hero-2048x2048.jpg"),
        ("../site/{name}.jpeg", "../site/hero.jpeg"),
        ("a/../b/{name}.JPG", "b/hero.JPG"),
    ],
)
def test_fields_of_an_output(place: Place, output: str, path: str) -> None:
    """A name that is made of fields is known before and found again after."""
    text = f'[images.hero]\nprompt = "a fox"\noutput = "{output}"\n'
    assert [picture.output for picture in place.see(text)] == [path]
    place.make(text)
    assert place.acts(text) == {"hero": KEEP}


def test_a_name_that_says_the_format_that_is_there_is_a_move(place: Place) -> None:
    """Also where the model could be asked for that format: to name a file is not to pay again."""
    model = next(
        name
        for name, able in PROVIDERS["ark"].models.items()
        if able.picks_format and not able.references[0]
    )
    place.typed["model"] = model
    text = rows(hero="a fox")
    place.make(text)
    ext = place.lock[0].output.rpartition(".")[2]
    named = text + f'output = "site/hero.{ext}"\n'
    assert place.acts(named) == {"hero": MOVE}
    other = {"jpg": "png", "png": "jpg"}[ext]
    assert place.acts(text + f'output = "hero.{other}"\n') == {"hero": MAKE}
    place.lock, place.files = [], {}
    place.make(named)
    assert place.acts(text + 'output = "site/hero"\n') == {"hero": KEEP}


def test_moves_in_a_row_are_all_moves(place: Place) -> None:
    """A name that its picture is about to leave is free, for moves and for new pictures."""
    a, b, c = (f'[images.{x}]\nprompt = "{x}"\noutput = "%s.jpg"\n' for x in "abc")
    place.make(a % 1 + b % 2)
    found = place.see(a % 2 + b % 3 + c % 1)
    assert [(p.act, p.output) for p in found] == [
        (MOVE, "2.jpg"), (MOVE, "3.jpg"), (MAKE, "1.jpg"),
    ]  # fmt: skip
    swapped = place.see(a % 2 + b % 1)
    assert [(p.act, p.output) for p in swapped] == [(LEAVE, "1.jpg"), (LEAVE, "2.jpg")]


def test_another_machine_makes_nothing_stale(place: Place) -> None:
    """Whose account is here says nothing about pictures that are there."""
    place.make(TWO)
    place.provider, place.maker = "kie", "kie"
    assert place.acts(TWO) == {"hero": KEEP, "sea": KEEP}
    (hero, sea) = place.see(TWO.replace("a fox", "a hen"))
    assert (hero.act, hero.provider, hero.reason) == (MAKE, "kie", "provider ark → kie")
    assert (sea.act, sea.provider) == (KEEP, "ark")
    place.maker = None
    assert place.see(TWO.replace("a fox", "a hen"))[0].provider == "ark"


def test_without_an_account_new_rows_are_still_told(place: Place) -> None:
    """A check needs no key: what nobody is said to make is to be made, all of it."""
    place.provider = None
    found = place.see(TWO.replace('sea"', 'sea"\ncount = 2'))
    assert [(p.name, p.act, p.output) for p in found] == [
        ("hero", MAKE, "hero"),
        ("sea-1", MAKE, "sea-1"),
        ("sea-2", MAKE, "sea-2"),
    ]
    with pytest.raises(UsageError, match="which provider"):
        place.planner(TWO).target(found[0].row)


def test_all_mistakes_are_named_with_their_lines(place: Place) -> None:
    """A person mends a manifest once, not row by row."""
    text = TWO.replace('fox"', 'fox"\nsize = "9K"').replace('sea"', 'sea"\naspect = "9:99999"')
    with pytest.raises(UsageError) as caught:
        place.see(text)
    assert "art.toml:1: hero:" in caught.value.message
    assert "art.toml:4: sea:" in caught.value.message


@pytest.mark.parametrize("names", [("Hero", "hero"), ("caf\u00e9", "cafe\u0301")])
def test_two_rows_for_one_file_are_held_apart(place: Place, names: tuple[str, str]) -> None:
    """Some file systems do not tell case apart, or how an accent is written."""
    text = "".join(f'[images."{name}"]\nprompt = "x"\n' for name in names)
    with pytest.raises(UsageError, match=r"art\.toml:3: .* both go to "):
        place.see(text)


def test_a_set_is_held_apart_from_other_rows(place: Place) -> None:
    """Also the names of pictures that come with the first one."""
    text = '[images.hero]\nprompt = "x"\nseries = 3\n[images.hero-2]\nprompt = "y"\n'
    with pytest.raises(UsageError, match=r"both go to hero-2\.jpg"):
        place.see(text)


def test_notes_are_counted_by_rows(place: Place) -> None:
    """What many rows have in common is said once, and only of what is made."""
    place.typed["set"] = {"mystery": 1}
    planner = place.planner(TWO)
    plan = planner.plan()
    assert list(plan.notes.values()) == [2]
    place.make(TWO)
    planner = place.planner(TWO)
    plan = planner.plan()
    assert plan.notes == {}


# -- several pictures ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_typed", [False, True])
def test_a_row_grows_and_shrinks(place: Place, is_typed: bool) -> None:  # noqa: FBT001
    """What was hero becomes hero-1, hero-2 is bought; back again, hero-2 leaves the lock."""
    one = rows(hero="a fox")
    two = one if is_typed else one.replace('fox"', 'fox"\ncount = 2')
    place.make(one)
    place.typed = {"count": 2} if is_typed else {}
    found = place.see(two)
    assert [(p.name, p.act, p.output) for p in found] == [
        ("hero-1", MOVE, "hero-1.jpg"), ("hero-2", MAKE, "hero-2.jpg"),
    ]  # fmt: skip
    place.make(two)
    assert place.acts(two) == {"hero-1": KEEP, "hero-2": KEEP}
    place.typed = {}
    planner = place.planner(one)
    plan = planner.plan()
    assert [(p.name, p.act, p.output) for p in plan.actions] == [("hero", MOVE, "hero.jpg")]
    assert list(plan.kept) == [("hero", 1)]


def test_of_several_pictures_each_is_judged(place: Place) -> None:
    """One that is missing is made, the others stay."""
    text = '[images.hero]\nprompt = "x"\ncount = 3\n'
    place.make(text)
    del place.files["hero-2.jpg"]
    assert place.acts(text) == {"hero-1": KEEP, "hero-2": MAKE, "hero-3": KEEP}


SET = '[images.hero]\nprompt = "x"\nseries = 4\n'


# -- retired models --------------------------------------------------------------------------------

OLD, FLASH = "doubao-seedream-4-5-251128", "doubao-seedream-5-0-flash-260915"
V4 = "doubao-seedream-4-0-20260415"
THREE = '[images.hero]\nprompt = "a fox"\ncount = 3\n'


def made_by_the_old_default(place: Place, text: str) -> None:
    """Make a manifest by a model that was retired since, as a default or the command line did."""
    place.typed = {"model": OLD}
    place.make(text)
    place.typed = {}


def models(place: Place) -> list[str]:
    """Return the models of the lock's lines, in order."""
    return [entry.model for entry in place.lock]


@pytest.mark.parametrize("text", [TWO, THREE, SET])
def test_pictures_of_a_retired_model_stay_current(place: Place, text: str) -> None:
    """That its model is gone makes no picture stale."""
    made_by_the_old_default(place, text)
    assert set(place.acts(text).values()) == {KEEP}
    assert place.planner(text).plan().notes == {}


def test_a_retired_model_is_not_asked_again(place: Place) -> None:
    """A lost picture is made by today's default; the plan names both, the others stay."""
    made_by_the_old_default(place, TWO)
    del place.files["hero.jpg"]
    hero, sea = place.see(TWO)
    assert (hero.act, sea.act) == (MAKE, KEEP)
    assert hero.reason == (
        f"its file is missing; {OLD} was retired on 2026-11-24, {FLASH} stands in"
    )
    assert hero.price is not None
    assert (str(hero.price.amount), hero.price.currency) == ("0.12", "CNY")
    place.make(TWO)
    assert set(place.acts(TWO).values()) == {KEEP}
    assert models(place) == [FLASH, OLD]


def test_another_prompt_is_made_by_todays_default(place: Place) -> None:
    """So is a changed one; size and ratio stay as the lock resolved them."""
    place.typed = {"model": OLD, "aspect": "16:9"}
    place.make(TWO)
    place.typed = {}
    text = TWO.replace("a fox", "a hen")
    hero, sea = place.see(text)
    assert (hero.act, sea.act) == (MAKE, KEEP)
    assert hero.replaces == {sha(place.files["hero.jpg"])}
    place.make(text)
    assert [(entry.model, entry.aspect) for entry in place.lock] == [
        (FLASH, "16:9"),
        (OLD, "16:9"),
    ]
    assert set(place.acts(text).values()) == {KEEP}


def test_one_of_several_is_made_by_todays_default(place: Place) -> None:
    """Its row's others are kept, now and at every later run."""
    made_by_the_old_default(place, THREE)
    del place.files["hero-2.jpg"]
    found = place.see(THREE)
    assert [picture.act for picture in found] == [KEEP, MAKE, KEEP]
    place.make(THREE)
    assert models(place) == [OLD, FLASH, OLD]
    assert set(place.acts(THREE).values()) == {KEEP}
    place.lock.reverse()
    assert set(place.acts(THREE).values()) == {KEEP}
    del place.files["hero-3.jpg"]
    assert [picture.act for picture in place.see(THREE)] == [KEEP, KEEP, MAKE]


def test_a_set_of_a_retired_model_is_made_whole_by_its_stand_in(place: Place) -> None:
    """Today's default makes no sets: the model that does makes all of it."""
    made_by_the_old_default(place, SET)
    del place.files["hero-2.jpg"]
    (picture,) = place.see(SET)
    assert (picture.act, picture.of) == (MAKE, 4)
    assert picture.reason.endswith(f"{OLD} was retired on 2026-11-24, {V4} stands in")
    place.make(SET)
    assert models(place) == [V4] * 4
    assert {picture.act for picture in place.see(SET)} == {KEEP}


def test_a_row_that_names_a_retired_model_asks_for_it(place: Place) -> None:
    """Who names it gets it, with a note; so does the command line."""
    text = f'[images.hero]\nprompt = "a fox"\nmodel = "{OLD}"\n'
    place.make(text)
    assert place.acts(text) == {"hero": KEEP}
    del place.files["hero.jpg"]
    planner = place.planner(text)
    plan = planner.plan()
    (hero,) = plan.actions
    assert (hero.act, hero.reason) == (MAKE, "its file is missing")
    assert planner.target(hero.row).resolved.request.model == OLD
    assert [note.partition(";")[0] for note in plan.notes] == [f"{OLD} was retired on 2026-11-24"]


def test_a_model_that_will_be_retired_is_asked(place: Place) -> None:
    """The day counts, not that an end is announced."""
    made_by_the_old_default(place, TWO)
    place.now = datetime(2026, 11, 24, 5, 59, tzinfo=UTC)
    del place.files["hero.jpg"]
    hero, _ = place.see(TWO)
    assert hero.reason == "its file is missing"
    place.make(TWO)
    assert models(place) == [OLD, OLD]


def test_a_set_is_one_picture_to_make(place: Place) -> None:
    """Its pictures come with one request, and then each is there by itself."""
    (picture,) = place.see(SET)
    assert (picture.count, picture.of, picture.output) == (4, 4, "hero-1.jpg")
    place.make(SET)
    found = place.see(SET)
    assert [(p.n, p.of, p.act) for p in found] == [(n, 4, KEEP) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("numbers", [(1, 2), (1, 3), (2,)])
def test_a_set_with_fewer_pictures_is_whole(place: Place, numbers: tuple[int, ...]) -> None:
    """The model decides how many: what was paid for is not bought again for being fewer."""
    place.make(SET)
    place.lock = [replace(e, of=len(numbers)) for e in place.lock if e.n in numbers]
    found = place.see(SET)
    assert [(p.n, p.act) for p in found] == [(n, KEEP) for n in numbers]


def test_a_set_is_made_again_together(place: Place) -> None:
    """Of related pictures none is made alone; all of ours may be replaced."""
    place.make(SET)
    del place.files["hero-3.jpg"]
    (picture,) = place.see(SET)
    assert (picture.act, picture.of, picture.reason) == (MAKE, 4, "its file is missing")
    assert len(picture.replaces) == 3
    place.files["hero-2.jpg"] = "retouched"
    (picture,) = place.see(SET)
    assert (picture.act, picture.output) == (CONFLICT, "hero-2.jpg")
    place.lock = place.lock[:3]
    assert place.see(SET)[0].reason.startswith("its set is not whole; ")


# -- references ------------------------------------------------------------------------------------

CHAIN = """[images.c]
prompt = "c"
references = ["images.b"]
[images.b]
prompt = "b"
references = ["images.a"]
[images.a]
prompt = "a"
"""


def test_what_is_made_from_a_new_picture_is_new(place: Place) -> None:
    """Of a chain whose first changes all are made; whose last changes, only the last."""
    place.make(CHAIN)
    assert set(place.acts(CHAIN).values()) == {KEEP}
    found = {p.name: p for p in place.see(CHAIN.replace('"a"', '"A"'))}
    assert {name: p.act for name, p in found.items()} == {"a": MAKE, "b": MAKE, "c": MAKE}
    assert found["b"].reason == "images.a is made anew"
    found = {p.name: p for p in place.see(CHAIN.replace('"c"\n', '"C"\n'))}
    assert {name: p.act for name, p in found.items()} == {"a": KEEP, "b": KEEP, "c": MAKE}


def test_a_reference_that_was_retouched_makes_nothing_stale(place: Place) -> None:
    """What is left as it is stays the picture that the others were made from."""
    place.make(CHAIN)
    place.files["a.jpg"] = "retouched"
    assert place.acts(CHAIN) == {"a": LEAVE, "b": KEEP, "c": KEEP}
    place.lock = [
        replace(e, made=e.sha256, sha256=sha("retouched")) if e.name == "a" else e
        for e in place.lock
    ]
    assert place.acts(CHAIN) == {"a": KEEP, "b": KEEP, "c": KEEP}


def test_nothing_is_made_from_a_file_that_nobody_accepted(place: Place) -> None:
    """What was changed by hand is no reference until a person says that it is right."""
    place.make(CHAIN)
    place.files["a.jpg"] = "retouched"
    changed = CHAIN.replace('"b"\nref', '"B"\nref')
    found = {action.name: action for action in place.see(changed)}
    assert {name: action.act for name, action in found.items()} == {
        "a": LEAVE, "b": Act.WAIT, "c": Act.WAIT,
    }  # fmt: skip
    assert "--accept a " in found["b"].reason


def test_a_chain_of_three_thousand(place: Place) -> None:
    """However long, and in whatever order it is written, it is walked without a fall."""
    names = [f"r{k}" for k in range(3000)]
    text = [rows(r0="x")]
    text += [
        f'[images.{name}]\nprompt = "x"\nreferences = ["images.{before}"]\n'
        for before, name in pairwise(names)
    ]
    read_ = read("".join(reversed(text)))
    assert [row.name for row in sort_by_source(read_.rows)] == names
    place.is_lock_only = True
    assert {p.act for p in place.planner(read_).plan().actions} == {MAKE}


def test_a_file_that_many_share_is_read_once(place: Place) -> None:
    """A style board of a thousand rows costs one look; other bytes make them all stale."""
    text = '[defaults]\nreferences = ["style.png"]\n' + TWO
    place.files["style.png"] = "v1"
    place.make(text)
    place.digested.clear()
    assert set(place.acts(text).values()) == {KEEP}
    assert place.digested == ["/m/style.png"]
    place.files["style.png"] = "v2"
    assert set(place.acts(text).values()) == {MAKE}


# -- other names -----------------------------------------------------------------------------------


def test_a_renamed_row_keeps_its_picture(place: Place) -> None:
    """What the lock has under another name with the same words is taken over, and named anew."""
    place.make(TWO)
    planner = place.planner(TWO.replace("hero", "fox"))
    plan = planner.plan()
    found = plan.actions
    assert [(p.name, p.act, p.output) for p in found] == [
        ("fox", MOVE, "fox.jpg"), ("sea", KEEP, "sea.jpg"),
    ]  # fmt: skip
    assert plan.leaving == []
    assert sorted(plan.kept) == [("fox", 1), ("sea", 1)]


def test_a_renamed_row_leaves_room_for_another(place: Place) -> None:
    """A new row may have the old name, and its file the old file's name."""
    place.make(TWO)
    renamed = TWO.replace("hero", "fox")
    place.make(renamed)
    text = renamed + rows(hero="a hen")
    assert place.acts(text) == {"fox": KEEP, "sea": KEEP, "hero": MAKE}
    place.make(text)
    assert set(place.acts(text).values()) == {KEEP}


def test_each_orphan_is_taken_over_once(place: Place) -> None:
    """Of two new rows with the words of one old picture, one is made."""
    place.make(rows(hero="a fox"))
    found = place.see(rows(one="a fox", two="a fox"))
    assert [p.act for p in found] == [MOVE, MAKE]
    place.make(rows(hero="a fox", other="a fox"))
    found = place.see(rows(one="a fox", two="a fox", three="a fox"))
    assert [p.act for p in found] == [MOVE, MOVE, MAKE]
    assert [p.entry and p.entry.output for p in found] == ["hero.jpg", "other.jpg", None]


def test_what_the_manifest_has_no_more_is_told(place: Place) -> None:
    """Its line is not kept; nothing happens to its file."""
    place.make(TWO)
    planner = place.planner(rows(hero="a fox"))
    plan = planner.plan()
    assert [entry.name for entry in plan.leaving] == ["sea"]
    assert list(plan.kept) == [("hero", 1)]


def test_a_shard_judges_its_rows_only(place: Place) -> None:
    """The lock's other rows are no orphans of it."""
    place.make(TWO)
    whole = read(TWO)
    planner = place.planner(whole, whole.rows[:1])
    plan = planner.plan()
    assert [p.name for p in plan.actions] == ["hero"]
    assert (plan.leaving, list(plan.kept)) == ([], [("hero", 1)])


# -- rehearsals ------------------------------------------------------------------------------------


def test_a_placeholder_is_stale_for_a_real_run(place: Place) -> None:
    """It is replaced when somebody pays; another rehearsal leaves it alone."""
    place.sandbox = True
    place.make(TWO)
    assert set(place.acts(TWO).values()) == {KEEP}
    place.sandbox = False
    (hero, _) = place.see(TWO)
    assert (hero.act, hero.reason) == (MAKE, "its picture is a rehearsal's placeholder")
    assert hero.replaces == {sha(place.files["hero.jpg"])}


def test_a_rehearsal_replaces_no_real_picture(place: Place) -> None:
    """Where a real picture is stale, a rehearsal stops before it; it is no stranger either."""
    place.make(TWO)
    place.sandbox = True
    assert set(place.acts(TWO).values()) == {KEEP}
    (hero, _) = place.see(TWO.replace("a fox", "a hen"))
    assert (hero.act, hero.stranger) == (CONFLICT, "")
    assert "no rehearsal replaces" in hero.reason


def test_of_a_placeholder_and_a_picture_the_picture_counts(place: Place) -> None:
    """A merge that brings both lines does not have it bought again."""
    place.make(TWO)
    real = list(place.lock)
    for both in ([real[0]] * 2, [real[0]]):
        place.lock = [*both, replace(real[0], sandbox=True, sha256="0" * 64), real[1]]
        assert set(place.acts(TWO).values()) == {KEEP}


# -- merges ----------------------------------------------------------------------------------------


def merged(ours: Sequence[Entry], theirs: Sequence[Entry]) -> list[Entry]:
    """Merge two locks as `merge=union` does: the lines of both, sorted, none twice."""
    lines = {*lock.write(ours).splitlines(), *lock.write(theirs).splitlines()}
    return lock.parse("\n".join(sorted(lines)), file="art.lock")


words = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y"]), min_size=1)


@given(words, words, words)
@settings(max_examples=60)
def test_a_union_merge_knows_what_either_side_knew(
    ours: dict[str, str], theirs: dict[str, str], now: dict[str, str]
) -> None:
    """A picture is current by the merged lock where it is by one of the two."""
    sides = []
    for prompts in (ours, theirs):
        side = Place(is_lock_only=True)
        side.make(rows(**prompts))
        sides.append(side.lock)
    text = rows(**now)
    mine, other, both = (
        {p.name for p in Place(lock=each, is_lock_only=True).see(text) if p.act is KEEP}
        for each in (*sides, merged(*sides))
    )
    # What a side never heard of may be taken for a renamed row there: that is another test.
    assert (mine & ours.keys()) | (other & theirs.keys()) == both & (ours.keys() | theirs.keys())
    assert both >= {name for name in now if now[name] in {ours.get(name), theirs.get(name)}}


def test_twins_whose_file_is_the_other_sides(place: Place) -> None:
    """The words fit one line and the file another: what was paid for is in the history."""
    place.make(rows(hero="a hen"))
    theirs = list(place.lock)
    old = place.files["hero.jpg"]
    place.lock, place.files = [], {}
    place.make(rows(hero="a fox"))
    place.lock = merged(place.lock, theirs)
    assert place.acts(rows(hero="a fox")) == {"hero": KEEP}
    place.files["hero.jpg"] = old
    (hero,) = place.see(rows(hero="a fox"))
    assert (hero.act, hero.stranger) == (CONFLICT, "")
    wanted = next(
        each for each in place.lock if each.description_digest == theirs[0].description_digest
    )
    assert wanted.sha256 == sha(old)
    assert f"take hero.jpg with sha256 {hero.entry.sha256 if hero.entry else ''}" in hero.reason
    assert "--accept hero" in hero.reason
    assert place.acts(rows(hero="a hen")) == {"hero": KEEP}


def test_of_stale_twins_that_of_the_file_counts(place: Place) -> None:
    """Both lines are stale; the file that lies there is ours to replace."""
    place.make(rows(hero="a fox"), mark="ours")
    ours = list(place.lock)
    place.files["hero.jpg"] += "theirs"
    theirs = [replace(ours[0], sha256=sha(place.files["hero.jpg"]))]
    for both in (ours + theirs, theirs + ours):
        place.lock = both
        assert place.acts(rows(hero="a fox")) == {"hero": KEEP}
        (hero,) = place.see(rows(hero="a hen"))
        assert hero.replaces == {theirs[0].sha256}


def test_twins_of_sets_are_not_mixed(place: Place) -> None:
    """Two sides made the same set, with as many pictures as their model liked."""
    place.make(SET)
    four = list(place.lock)
    two = [replace(e, of=2, sha256=f"{e.n}" * 64) for e in four[:2]]
    place.is_lock_only = True
    for sign in (1, -1):
        place.lock = sorted([*four, *two], key=lambda e: (e.key, sign * (e.of or 0)))
        assert [(p.of, p.entry) for p in place.see(SET)] == [(4, entry) for entry in four]


def test_of_a_set_whose_file_is_the_other_sides_none_is_made(place: Place) -> None:
    """The pictures of a set that a merge left with other bytes are in the history, too."""
    place.make(SET)
    theirs = list(place.lock)
    old = dict(place.files)
    place.lock, place.files = [], {}
    place.make(SET.replace('"x"', '"y"'))
    place.lock = merged(place.lock, theirs)
    assert set(place.acts(SET.replace('"x"', '"y"')).values()) == {KEEP}
    place.files["hero-2.jpg"] = old["hero-2.jpg"]
    (hero,) = place.see(SET.replace('"x"', '"y"'))
    assert (hero.act, hero.stranger) == (CONFLICT, "")
    assert "from version control" in hero.reason


# -- a person's work -------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{"accepted": True}, {"made": "0" * 64}])
def test_an_accepted_picture_is_not_replaced(place: Place, more: dict[str, object]) -> None:
    """Another description does not cost a person's work, which the lock knows by its bytes."""
    place.make(TWO)
    place.files["hero.jpg"] = "retouched"
    hero, sea = place.lock
    place.lock = [replace(hero, sha256=sha("retouched"), **more), sea]  # type: ignore[arg-type]
    assert place.acts(TWO) == {"hero": KEEP, "sea": KEEP}
    (found, _) = place.see(TWO.replace("a fox", "a hen"))
    assert (found.act, found.stranger, found.replaces) == (CONFLICT, "", frozenset())
    assert found.reason.endswith("hero.jpg was changed by hand and accepted")


def test_a_picture_changed_by_hand_and_renamed_stays_where_it_is(place: Place) -> None:
    """It is left at its old name, not bought for the new one; accepted there, it moves."""
    place.make(TWO)
    place.files["hero.jpg"] = "retouched"
    text = TWO.replace('fox"', 'fox"\noutput = "site/hero.jpg"')
    (hero, _) = place.see(text)
    assert (hero.act, hero.output) == (LEAVE, "hero.jpg")
    assert "changed by hand, so it is not moved to site/hero.jpg" in hero.reason
    entries = place.lock
    place.lock = [replace(entries[0], sha256=sha("retouched"), accepted=True), entries[1]]
    (hero, _) = place.see(text)
    assert (hero.act, hero.output) == (MOVE, "site/hero.jpg")


def test_another_rows_picture_at_an_old_name_is_nobodys_work(place: Place) -> None:
    """A file that the lock knows was not changed by hand: the missing picture is made."""
    place.make(TWO)
    place.files["hero.jpg"] = place.files["sea.jpg"]
    (hero, _) = place.see(TWO.replace('fox"', 'fox"\noutput = "site/hero.jpg"'))
    assert (hero.act, hero.output) == (MAKE, "site/hero.jpg")


@pytest.mark.parametrize(
    ("lies", "wanted"),
    [
        ("hero-0abc1234.jpg", "hero.jpg"),
        ("hero-abcdefgh-2.jpg", "hero.jpg"),
        ("art/hero-0abc1234.jpg", "art/hero.jpg"),
        ("art/hero-portrait.jpg", "art/hero-portrait.jpg"),
        ("art/hero-standard.jpg", "art/hero-standard.jpg"),
        ("hero-20261121.jpg", "hero-20261121.jpg"),
    ],
)
def test_a_picture_that_was_put_aside_goes_to_its_own_name(
    place: Place, lies: str, wanted: str
) -> None:
    """What came while its name was taken moves when that is free; a name that was typed stays."""
    place.make(rows(hero="a fox"))
    place.files[lies] = place.files.pop("hero.jpg")
    place.lock = [replace(place.lock[0], output=lies)]
    (hero,) = place.see(rows(hero="a fox"))
    assert (hero.act, hero.output) == (KEEP if lies == wanted else MOVE, wanted)
    if lies != wanted:
        place.files[wanted] = "stranger"
        (hero,) = place.see(rows(hero="a fox"))
        assert (hero.act, hero.output) == (LEAVE, lies)
        assert f"its new name {wanted} is taken" in hero.reason


# -- rehearsals and the lock -----------------------------------------------------------------------


def test_a_rehearsal_chooses_nothing_for_a_real_run(place: Place) -> None:
    """Provider, model and size of placeholders are forgotten; their files may be replaced."""
    place.sandbox, place.provider = True, "kie"
    place.typed = {"size": "4K", "model": "seedream/4.5-text-to-image"}
    place.make(TWO)
    place.sandbox, place.provider, place.typed = False, "ark", {}
    plain = Place().planner(TWO)
    plain.plan()
    planner = place.planner(TWO)
    plan = planner.plan()
    (hero, sea) = plan.actions
    assert planner.target(hero.row).description_digest == plain.target(hero.row).description_digest
    assert (hero.provider, hero.act) == ("ark", MAKE)
    assert hero.reason == sea.reason == "its picture is a rehearsal's placeholder"
    assert hero.replaces == {sha(place.files["hero.png"])}


@pytest.mark.parametrize(
    "text",
    [
        TWO,
        TWO.replace("a fox", "a hen"),
        TWO.replace('fox"', 'hen"\noutput = "site/hero.jpg"'),
    ],
)
def test_a_rehearsal_makes_no_picture_that_the_lock_has(place: Place, text: str) -> None:
    """Also where the file is not there, as in a clone without it, or belongs elsewhere."""
    place.make(TWO)
    del place.files["hero.jpg"]
    place.sandbox = True
    (hero, _) = place.see(text)
    assert (hero.act, hero.stranger) == (CONFLICT, "")
    assert "rehearse in a copy of the folder" in hero.reason


def test_a_rehearsal_drops_no_real_line(place: Place) -> None:
    """Rows that are gone, numbers that are gone and twins: what was paid for stays in the lock."""
    place.make(TWO.replace('sea"', 'sea"\ncount = 2'))
    real = list(place.lock)
    place.lock.append(replace(real[1], sandbox=True, sha256="0" * 64))
    place.sandbox = True
    planner = place.planner(rows(sea="the sea"))
    plan = planner.plan()
    assert sorted(plan.kept) == [("hero", 1), ("sea", 1), ("sea", 2)]
    assert not any(entry.sandbox for entry in plan.kept.values())
    assert plan.leaving == []
    place.sandbox = False
    planner = place.planner(rows(sea="the sea"))
    plan = planner.plan()
    assert [entry.key for entry in plan.leaving] == [("hero", 1), ("sea", 2)]


def test_what_leaves_the_lock_is_told(place: Place) -> None:
    """Rows that are gone and numbers that are gone, each once; twins and renamed rows do not."""
    place.make(TWO.replace('sea"', 'sea"\ncount = 3') + rows(old="x", gone="y"))
    place.lock.append(replace(place.lock[0], sha256="0" * 64))
    planner = place.planner(TWO + rows(new="x"))
    plan = planner.plan()
    assert [(e.name, e.n, e.output) for e in plan.leaving] == [
        ("gone", 1, "gone.jpg"), ("sea", 2, "sea-2.jpg"), ("sea", 3, "sea-3.jpg"),
    ]  # fmt: skip


def test_lines_of_a_provider_that_is_not_known_here_are_kept(place: Place) -> None:
    """A newer version wrote them: an older one does not throw them away."""
    place.make(TWO)
    place.lock = [replace(place.lock[0], provider="newer"), place.lock[1]]
    planner = place.planner(TWO)
    plan = planner.plan()
    (hero, _) = plan.actions
    assert (hero.act, hero.provider) == (MAKE, None)
    assert hero.reason == "the lock's provider newer is not known to this version"
    assert list(plan.kept) == [("hero", 1), ("sea", 1)]
    assert plan.leaving == []
    with pytest.raises(UsageError, match="provider newer is not known"):
        planner.target(hero.row)


# -- what a picture may not be ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("art.toml", "the manifest itself"),
        ("x/../ART.TOML", "the manifest itself"),
        ("art.lock", "the manifest's lock"),
        ("../m/Art.Lock", "the manifest's lock"),
        ("art.2-of-3.LOCK", "the manifest's lock"),
    ],
)
def test_no_picture_takes_the_place_of_the_manifest(place: Place, output: str, what: str) -> None:
    """Nor of its lock, however the name is written."""
    with pytest.raises(UsageError, match=rf"art\.toml:1: hero: .* is {what}"):
        place.see(f'[images.hero]\nprompt = "x"\noutput = "{output}"\nany_format = true\n')
    other = output.replace("art", "part").replace("ART", "PART").replace("Art", "Part")
    text = f'[images.hero]\nprompt = "x"\noutput = "{other}"\nany_format = true\n'
    assert place.acts(text) == {"hero": MAKE}


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("count = 2", r"images\.m\.1"),
        ("series = 2", r"images\.m\.1"),
        ('output = "m-1.jpg"', r"images\.m"),
    ],
)
def test_a_picture_of_the_manifest_is_no_reference_by_file(
    place: Place, row: str, name: str
) -> None:
    """By its file it would not be made first, and never be current."""
    text = f'[images.m]\nprompt = "x"\n{row}\n[images.n]\nprompt = "y"\n'
    text += 'references = ["./M-1.jpg"]\n'
    place.files["./M-1.jpg"] = "picture"
    match = rf"art\.toml:4: n: \./M-1\.jpg is the picture of {name}: write {name}, then"
    with pytest.raises(UsageError, match=match):
        place.see(text)


def test_a_picture_is_not_made_from_itself(place: Place) -> None:
    """It would be another one after every run, and be bought each time."""
    place.files["n.jpg"] = "picture"
    with pytest.raises(UsageError, match=r"n: n\.jpg is its own picture"):
        place.see('[images.n]\nprompt = "y"\nreferences = ["n.jpg"]\n')


def test_all_references_that_are_none_are_named(place: Place) -> None:
    """Several of one row, and those of several rows, are told together."""
    text = "".join(
        f'[images.{name}]\nprompt = "x"\nreferences = ["{name}1.png", "{name}2.png"]\n'
        for name in "ab"
    )
    with pytest.raises(UsageError) as caught:
        place.see(text)
    for line, name in ((1, "a"), (4, "b")):
        assert f"art.toml:{line}: {name}: " in caught.value.message
        assert all(f"no file /m/{name}{k}.png" in caught.value.message for k in (1, 2))
