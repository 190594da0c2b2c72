"""What `--plan` prints is what a run then does, action by action, whatever lies there.

`--soak` plays a thousand games of it, `--seed N` repeats their draws.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from support.command import Cli

if TYPE_CHECKING:
    import random
    from pathlib import Path

    import pytest
    from support.command import Ran
    from support.server import Server
    from support.soak import Soak

WORDS = ("a fox", "a hen", "the sea", "a map")
NAMES = ("a", "b", "c", "d", "e", "b-2")
ARK = {"profile": "ark", "model": "doubao-seedream-5-0-flash-260915", "size": "1280x720"}
SET = {"profile": "ark", "model": "doubao-seedream-4-0-20260415", "size": "1280x720"}
KIE = {"profile": "kie", "model": "seedream/5-flash-text-to-image", "size": "1K"}
FAULTS = ((), (), ("drop:1",), ("refuse:1",), ("fail:1",), ("drop:1", "refuse:1"))
FAIR = {"make", "fetch", "move", "current"}
"""Acts after which, in fair weather, a picture is as described."""

Row = dict[str, object]


@dataclass
class Game:
    """A manifest, its lock, the files around it and a ledger, all of them drawn."""

    cli: Cli
    server: Server
    dice: random.Random
    rows: dict[str, Row] = field(default_factory=dict)

    def __call__(self, *arguments: str) -> Ran:
        """Run `generate --batch`."""
        return self.cli("generate", "--batch", "art.toml", *arguments)

    @property
    def lock(self) -> Path:
        """Where the lock lies."""
        return self.cli.work / "art.lock"

    def draw_row(self, names: list[str]) -> Row:
        """Draw a row; it may be made from one of these."""
        kind = self.dice.choice([ARK, ARK, KIE, KIE, SET])
        row: Row = {"prompt": self.dice.choice(WORDS), **kind}
        if kind is SET:
            row["series"] = self.dice.choice((2, 3))
            return row
        row["format"] = "png"
        if self.dice.random() < 0.2:
            row["count"] = self.dice.choice((2, 3))
        if self.dice.random() < 0.2:
            row["output"] = self.dice.choice(("x/{name}", "{name}-{slug}", "one", "{name}.png"))
        sources = [name for name in names if not {"count", "series"} & self.rows[name].keys()]
        if kind is ARK and sources and self.dice.random() < 0.5:
            row["references"] = [f"images.{self.dice.choice(sources)}"]
        return row

    def change(self) -> None:
        """Change what the manifest says: add, remove, rename, or write a row anew."""
        names = list(self.rows)
        free = [name for name in NAMES if name not in names]
        needed = {str(each) for row in self.rows.values()
                  for each in row.get("references", ())}  # type: ignore[attr-defined] # fmt: skip
        loose = [name for name in names if f"images.{name}" not in needed]
        match self.dice.choice(("add", "remove", "rename", "prompt", "output", "output", "row")):
            case "add" if free:
                self.rows[free[0]] = self.draw_row(names)
            case "remove" if len(loose) > 1:
                del self.rows[self.dice.choice(loose)]
            case "rename" if free and loose:
                self.rows[free[-1]] = self.rows.pop(self.dice.choice(loose))
            case "prompt" if names:
                self.rows[self.dice.choice(names)]["prompt"] = self.dice.choice(WORDS)
            case "output" if names:
                self.rows[self.dice.choice(names)]["output"] = self.dice.choice(("y/{name}", "z"))
            case _:
                name = self.dice.choice(loose or names or ["a"])
                self.rows[name] = self.draw_row([each for each in names if each < name])
        self.write()

    def write(self) -> None:
        """Write the manifest."""
        text = ""
        for name, row in self.rows.items():
            text += f"[images.{name}]\n"
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items())
        self.cli.work.mkdir(exist_ok=True)
        (self.cli.work / "art.toml").write_text(text)

    def disturb(self) -> None:
        """Let something happen to a file, to the lock or to the ledger."""
        pictures = sorted(path for path in self.files() if path.suffix in {".png", ".jpg"})
        lines = self.lock.read_text().splitlines(keepends=True) if self.lock.exists() else []
        self.dice.shuffle(lines)
        match self.dice.choice(("delete", "retouch", "copy", "stranger", "line", "lock", "ledger")):
            case "delete" if pictures:
                self.dice.choice(pictures).unlink()
            case "retouch" if pictures:
                self.dice.choice(pictures).write_bytes(b"retouched")
            case "copy" if pictures:
                self.dice.choice(pictures).write_bytes(self.dice.choice(pictures).read_bytes())
            case "stranger":
                (self.cli.work / f"{self.dice.choice(NAMES)}.png").write_bytes(b"strange")
            case "line" if lines:
                self.lock.write_text("".join(lines[1:]))
            case "lock" if lines and self.dice.random() < 0.5:
                self.lock.unlink()
            case "ledger" if self.dice.random() < 0.3:
                (self.cli.state / "ledger.db").unlink(missing_ok=True)
            case _:
                pass

    def files(self) -> dict[Path, str]:
        """Return the digests of all files around the manifest."""
        found = (path for path in self.cli.work.rglob("*") if path.is_file())
        return {path: sha256(path.read_bytes()).hexdigest() for path in found}

    def play(self) -> None:
        """Let a past come about: runs in bad weather, and what people do in between."""
        for name in NAMES[: self.dice.choice((2, 3, 4))]:
            self.rows[name] = self.draw_row(list(self.rows))
        self.write()
        for _ in range(self.dice.choice((0, 1, 1, 1, 2))):
            weather = self.dice.choice(FAULTS)
            self.server.change_weather(*weather)
            # What is left to fail later is planned as a fetch, and fails in the run.
            is_polled = "fail:1" not in weather and all(
                row["profile"] == "kie" for row in self.rows.values()
            )
            self("-q", *(["--no-wait"] if is_polled and self.dice.random() < 0.5 else []))
            for act in (self.change, self.disturb, self.disturb):
                if self.dice.random() < 0.6:
                    act()
        self.server.change_weather()


def differences(game: Game) -> list[str]:
    """Plan, run, and return where the run did not do what the plan had printed."""
    plans = [game("--plan", "--json") for _ in range(2)]
    before, charged = game.files(), Counter(prompts(game))
    ran = game("--json")
    after, news = game.files(), Counter(prompts(game)) - charged
    plan = plans[0]
    if plan.code != 0 or plan.out != plans[1].out:
        is_same = plan.code == ran.code == 2 and (plan.out, news) == (ran.out, Counter())
        return [] if is_same else [f"{plan.code} {plan.err}\n{ran.code} {ran.err}"]
    acts = plan.objects
    if any(act["action"] == "conflict" for act in acts):
        is_left = (ran.code, news, after) == (2, Counter(), before)
        return [] if is_left else [f"a conflict, and: {ran.code} {dict(news)} {ran.err}"]
    wrong = []
    made = Counter(str(act["prompt"]) for act in acts if act["action"] == "make")
    if made != news:
        wrong.append(f"planned {dict(made)}, charged {dict(news)}")
    (said,) = [line for line in plan.err.splitlines() if " to make, " in line]
    if {act["action"] for act in acts} & {"make", "fetch", "wait", "unknown"}:
        wrong += [] if said in ran.err.splitlines() else [f"{said!r} is not in {ran.err!r}"]
    wrong += [each for act in acts for each in look_at(game, act, before, after)]
    told = {(act["row"], act["n"]): act["action"] for act in game("--plan", "--json").objects}
    for act in acts:
        wanted = {"current" if act["action"] in FAIR else act["action"]}
        if "its new name" in str(act["reason"]) or "taken meanwhile" in ran.err:
            wanted |= {"leave", "current"}  # where another's file lies, it may stay beside that
        if (found := told.get((act["row"], act["n"]))) not in wanted:
            wrong.append(f"{act['row']}.{act['n']} was {act['action']} and is {found}")
    return [f"{ran.code} {ran.err}", *wrong] if wrong else []


def prompts(game: Game) -> list[str]:
    """Return the prompts of all that was charged."""
    return [str(charge["prompt"]) for charge in game.server.charges()]


def look_at(
    game: Game, act: dict[str, object], before: dict[Path, str], after: dict[Path, str]
) -> list[str]:
    """Hold what was done about one picture against its files and its lines."""
    name, path = f"{act['row']}.{act['n']}", game.cli.work / str(act["output"])
    lines = map(json.loads, game.lock.read_text().splitlines() if game.lock.exists() else ())
    mine = [line for line in lines if (line["name"], line["n"]) == (act["row"], act["n"])]
    match act["action"]:
        case "make" | "fetch" | "move" | "current":
            at = {game.cli.work / line["output"]: line["sha256"] for line in mine}
            is_there = len(at) == 1 and at.items() <= after.items()
            is_kept = act["action"] != "current" or before.get(path) == after.get(path)
            return [] if is_there and is_kept else [f"{name} {act['action']}: {at} {mine}"]
        case "leave" | "unknown" | "wait":
            is_left = before.get(path) == after.get(path)
            return [] if is_left else [f"{name} {act['action']}: {path} was changed"]
        case _:
            return [f"{name}: {act['action']} is not known"]


def test_a_run_does_what_the_plan_printed(
    tmp_path: Path, server: Server, soak: Soak, capsys: pytest.CaptureFixture[str]
) -> None:
    """For random manifests, locks, files and histories: by charges, by files, by the lock."""
    dice, seen = soak.dice(), Counter[str]()
    for number in range(soak.times(8, long=1000)):
        server.reset()
        cli = Cli(home=tmp_path / str(number), env={"SEEDREAM_SANDBOX_DELAY": "0"})
        cli.home.mkdir()
        cli.configure(server)
        game = Game(cli=cli, server=server, dice=dice)
        game.play()
        plan = game("--plan", "--json")
        seen.update(str(each.get("action")) for each in plan.objects)
        assert differences(game) == [], f"game {number}, {soak.again}"
    with capsys.disabled():
        print(f"\n{dict(seen)}; {soak.again}")  # noqa: T201 - what was met
