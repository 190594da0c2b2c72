"""What the first version left, read by this one: nothing stale, nothing lost, nothing to buy.

`fixtures/first-version/` is a home as version one left it: `write_first_version.py` says how. Its
paths, below `/srv/first-version`, exist nowhere, so every test reads it as a folder that was moved;
one puts the paths right in its copy. No server listens at the address of its profiles.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.command import Cli

HERE = Path(__file__).resolve().parents[1] / "fixtures" / "first-version"
WAS = "/srv/first-version"
"""Where it lay when it was written."""
MANIFESTS = ("assets.toml", "folded.toml", "icons.jsonl", "rehearsal.toml", "words.txt")
"""Those of which every picture is there."""
OPEN = {"planned", "sending", "running", "ready", "unknown"}
ENDED = {"saved", "refused", "failed", "expired", "closed"}
PROVIDERS = {"ark", "byteplus", "kie", "kie-seedream", "uniall", "seedreams"}
POLLED = {"kie", "kie-seedream", "seedreams"}
"""An accepted job of the others is done."""
DETAILED = 8
"""Jobs that `status` shows whole."""
OFFLINE = ("status", "--offline", "--json")

Object = dict[str, Any]
"""A line of JSON; what is in it is what is tested."""


class Ran(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[Object]:
        """Stdout's JSON objects, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def old(cli: Cli) -> Cli:
    """Return the command line in the home that the first version left."""
    for name in ("state", "work"):
        shutil.copytree(HERE / name, cli.home / name)
    shutil.copyfile(HERE / "config.toml", cli.home / "config.toml")
    return cli


@pytest.fixture
def living(old: Cli) -> Iterator[Cli]:
    """Return the same while the processes live whose jobs are planned or being sent."""
    with ExitStack() as exits:
        for path in (old.home / "state" / "owners").glob("*.lock"):
            fcntl.flock(exits.enter_context(path.open("rb")), fcntl.LOCK_EX)
        yield old


def run(cli: Cli, *commands: Sequence[str]) -> list[Ran]:
    """Run commands one after the other; no traceback is ever right."""
    ran = [cli(*command) for command in commands]
    return [Ran(each.code, each.out.decode(), each.err) for each in ran]


def batch(name: str, *arguments: str) -> list[str]:
    """Return a `generate --batch` of one of the manifests."""
    rehearsed = ["--sandbox"] if name == "rehearsal.toml" else []
    return ["generate", "--batch", name, *rehearsed, *arguments]


# -- what the first version said -------------------------------------------------------------------


def said(name: str = "jobs.jsonl") -> list[Object]:
    """Return what it told of its jobs, newest first."""
    text = (HERE / "expected" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def planned(name: str) -> list[list[object]]:
    """Return what it would have done about each picture of a manifest."""
    plans = json.loads((HERE / "expected" / "plans.json").read_text(encoding="utf-8"))
    found: list[list[object]] = plans[name]
    return found


def actions(ran: Ran) -> list[list[object]]:
    """Return the same of a plan of today."""
    assert ran.code == 0, ran.err
    return [[line[key] for key in ("row", "n", "action", "output")] for line in ran.objects]


def holds(new: object, was: object) -> bool:
    """Tell whether all that was said is said still; fields may have come."""
    match new, was:
        case dict(), dict():
            return all(key in new and holds(new[key], value) for key, value in was.items())
        case list(), list():
            return len(new) == len(was) and all(map(holds, new, was))
        case _:
            return new == was


def facts(job: Object) -> Object:
    """Return what a job's object promises: words and hints may be put better."""
    images = [image | {"error": _code(image["error"])} for image in job["images"]]
    return job | {"error": _code(job["error"]), "images": images}


def _code(error: Object | None) -> object:
    return (error["code"], error["exit"]) if error else None


def assert_same(ran: Ran, expected: Sequence[Object]) -> None:
    """Hold the jobs that are listed against those that were."""
    assert ran.code == 0, ran.err
    jobs = ran.objects
    assert [job["job"] for job in jobs] == [job["job"] for job in expected]
    for new, was in zip(jobs, expected, strict=True):
        assert holds(facts(new), facts(was)), (new, was)


# -- the ledger ------------------------------------------------------------------------------------


def rows_of(home: Path) -> dict[str, list[Object]]:
    """Return every row of every table of a ledger."""
    with closing(sqlite3.connect(home / "state" / "ledger.db")) as ledger:
        ledger.row_factory = sqlite3.Row
        tables = ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: [dict(row) for row in ledger.execute(f"SELECT * FROM {name}")]  # noqa: S608 - its own
            for (name,) in tables
        }


def test_the_ledger_has_jobs_of_every_provider_in_every_state() -> None:
    """Nothing is left out but `running` where no provider polls."""
    found = {(job["state"], job["provider"]) for job in [*said(), *said("jobs-of-the-dead.jsonl")]}
    impossible = {("running", name) for name in PROVIDERS - POLLED}
    assert found >= {(state, name) for state in OPEN | ENDED for name in PROVIDERS} - impossible


def test_every_job_is_told_as_it_was(living: Cli) -> None:
    """State, charge, paths, prices, tasks and requests are those of before, by list and by name."""
    ids = [job["job"] for job in said()]
    commands = [(*OFFLINE, *which) for which in (["--all"], ids, ["last"])]
    listed, named, last = run(living, *commands)
    assert_same(listed, said())
    assert_same(named, said())
    saved = [job for job in said() if job["state"] == "saved" and not job["row"]]
    assert_same(last, saved[:1])


def test_jobs_of_dead_processes_are_settled_as_ever(old: Cli) -> None:
    """What was planned is closed and free; what was being sent is unknown and may be charged."""
    dead = {job["job"]: job for job in said("jobs-of-the-dead.jsonl")}
    assert {job["state"] for job in dead.values()} == {"closed", "unknown"}
    for job in dead.values():
        del job["finished_at"]  # now
    (ran,) = run(old, (*OFFLINE, "--all"))
    assert_same(ran, [dead.get(job["job"], job) for job in said()])


def test_a_job_of_each_state_is_shown_whole(living: Cli) -> None:
    """The text for people names the job, its state and its charge."""
    jobs = list({job["state"]: job for job in said()}.values())
    some = [jobs[:DETAILED], jobs[DETAILED:]]
    commands = [("status", "--offline", *(job["job"] for job in each)) for each in some]
    for ran, each in zip(run(living, *commands), some, strict=True):
        assert ran.code == 0, ran.err
        for job in each:
            assert job["job"] in ran.out
            assert f"{job['state']}, charge {job['charge']}" in ran.out


def test_the_exit_code_tells_a_bad_end(living: Cli) -> None:
    """`--exit-status` is 1 for a job that did not end well, and 0 for any other."""
    status = ("status", "--offline", "--exit-status")
    bad = {job["state"]: job["job"] for job in said() if job["error"] and job["state"] != "closed"}
    assert {"refused", "failed", "unknown", "expired", "saved"} <= bad.keys()
    good = [job["job"] for job in said() if not job["error"] or job["state"] == "closed"]
    well, *rest = run(living, (*status, *good), *((*status, job) for job in bad.values()))
    assert well.code == 0, well.err
    assert {ran.code for ran in rest} == {1}


def test_no_row_of_the_ledger_is_lost(living: Cli) -> None:
    """Once this version has opened it, each row of each table is there with what it held."""
    was = rows_of(living.home)
    (ran,) = run(living, OFFLINE)
    assert ran.code == 0, ran.err
    now = rows_of(living.home)
    for table in ("jobs", "attempts", "answers", "images", "uploads"):
        assert len(was[table]) == len(now[table]) > 0, table
        for before, after in zip(was[table], now[table], strict=True):
            kept = before.keys() & after.keys()
            assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    for table in ("attempts", "answers"):
        assert was[table][0].keys() <= now[table][0].keys(), table
    assert all(row in now["meta"] for row in was["meta"])


# -- manifests -------------------------------------------------------------------------------------


def lock_of(work: Path, stem: str) -> list[Object]:
    """Return the lines of a manifest's lock and of its parts, in order."""
    paths = [*work.glob(f"{stem}.lock"), *work.glob(f"{stem}.*-of-*.lock")]
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(map(json.loads, lines), key=lambda line: (line["name"], line["n"]))


def test_nothing_is_to_make(old: Cli) -> None:
    """`--plan` finds every picture as described, and none to make, move or fetch."""
    plans = run(old, *(batch(name, "--plan", "--json") for name in MANIFESTS))
    for name, plan in zip(MANIFESTS, plans, strict=True):
        assert actions(plan) == planned(name)
        assert {line["action"] for line in plan.objects} == {"current"}
    texts = run(old, *(batch(name, "--plan") for name in MANIFESTS))
    for name, text in zip(MANIFESTS, texts, strict=True):
        assert (text.code, text.out) == (0, ""), text.err
        assert f"0 to make, {len(planned(name))} current" in text.err


@pytest.mark.parametrize("option", [(), ("--no-files",)])
def test_nothing_is_stale(old: Cli, option: tuple[str, ...]) -> None:
    """`--check` is 0 with the files or without them; it needs no ledger and changes no file."""
    shutil.rmtree(old.home / "state")
    if option:
        for name in {output for each in MANIFESTS for _, _, _, output in planned(each)}:
            (old.work / str(name)).unlink()
    was = {path: path.read_bytes() for path in old.pictures()}
    for ran in run(old, *(batch(name, "--check", *option) for name in MANIFESTS)):
        assert (ran.code, ran.out) == (0, ""), ran.err
    assert {path: path.read_bytes() for path in old.pictures()} == was


@pytest.mark.parametrize("name", ["assets.toml", "icons.jsonl"])
def test_a_run_makes_nothing_and_keeps_the_lock(old: Cli, name: str) -> None:
    """It needs no key, folds the parts in, and lets go of what the manifest has no more."""
    stem = name.partition(".")[0]
    was = [line for line in lock_of(old.work, stem) if line["name"] != "leaving"]
    made, check = run(old, batch(name), batch(name, "--check"))
    assert (made.code, made.out) == (0, ""), made.err
    assert f"0 made, {len(was)} current" in made.err
    assert holds(lock_of(old.work, stem), was)
    assert [path.name for path in old.work.glob(f"{stem}.*lock")] == [f"{stem}.lock"]
    assert check.code == 0, check.err


def test_what_is_open_is_not_bought_again(old: Cli) -> None:
    """The row of an unknown job is `unknown`, those paid for are fetched, and none is made."""
    plan, text = run(old, batch("open.toml", "--plan", "--json"), batch("open.toml", "--plan"))
    assert actions(plan) == planned("open.toml")
    found = {line["row"]: line["action"] for line in plan.objects}
    assert found == {"kept": "current", "drawn": "fetch", "lost": "unknown", "late": "fetch"}
    assert "0 to make, 2 to fetch, 1 of unknown outcome, 1 current" in text.err


def test_the_same_holds_where_nothing_was_moved(old: Cli) -> None:
    """With the paths in the ledger put right, the plans are the same."""
    with closing(sqlite3.connect(old.home / "state" / "ledger.db")) as ledger, ledger:
        for table, column in (("jobs", "output"), ("images", "path")):
            put_right = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608 - ours
            ledger.execute(put_right, (WAS, str(old.home)))
    names = (*MANIFESTS, "open.toml")
    plans = run(old, *(batch(name, "--plan", "--json") for name in names))
    assert [actions(plan) for plan in plans] == [planned(name) for name in names]
