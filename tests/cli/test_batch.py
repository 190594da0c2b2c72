"""`generate --batch` as its users meet it: real processes and sockets, a server that counts."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from support.command import LONGEST
from support.manifests import ARK, KIE, UNIALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cli.conftest import StartServer
    from support.command import Cli, Ran
    from support.server import Server
    from support.soak import Soak

SUBMITS = ("/images/generations", "/images/edits", "/createTask")


@dataclass
class Album:
    """A manifest in its folder, the command on it, and what the server saw of that."""

    cli: Cli
    server: Server
    name: str = "art.toml"
    seen: int = 0

    @property
    def folder(self) -> Path:
        """Where the manifest lies."""
        return self.cli.work

    @property
    def lock_file(self) -> Path:
        """The lock beside the manifest."""
        return (self.folder / self.name).with_suffix(".lock")

    def write(self, text: str, defaults: str = ARK) -> None:
        """Write the manifest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / self.name).write_text(defaults + text)

    def change(self, old: str, new: str) -> None:
        """Put other words into the manifest."""
        path = self.folder / self.name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def __call__(
        self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> Ran:
        """Run `generate --batch` on the manifest."""
        return self.cli("generate", "--batch", self.name, *arguments, stdin=stdin, env=env)

    def make(self, *arguments: str) -> None:
        """Run it; everything is made."""
        ran = self(*arguments)
        assert ran.code == 0, ran.err

    def bought(self) -> list[str]:
        """Return the prompts of the paid requests since the last look, in order."""
        bodies = [_body(entry) for entry in _submits(self.server)]
        news, self.seen = bodies[self.seen :], len(bodies)
        return [str(body["prompt"]) for body in news]

    def lock(self) -> list[dict[str, object]]:
        """Return the lock's lines."""
        return [json.loads(line) for line in self.lock_file.read_text().splitlines()]

    def pictures(self) -> list[str]:
        """Return the pictures that lie in the folder, by name."""
        paths = (path for path in self.folder.rglob("*") if path.suffix in {".png", ".jpg"})
        return sorted(path.relative_to(self.folder).as_posix() for path in paths)

    def elsewhere(self) -> dict[str, str]:
        """Return the environment of another person's machine: no ledger, no config, no key."""
        other = self.cli.home / "other"
        return {
            "HOME": str(other),
            "SEEDREAM_STATE_DIR": str(other / "state"),
            "SEEDREAM_CONFIG": str(other / "config.toml"),
        }


def _submits(server: Server) -> list[dict[str, object]]:
    return [entry for entry in server.submits() if str(entry["path"]).endswith(SUBMITS)]


def _body(entry: Mapping[str, object]) -> dict[str, object]:
    body = entry["body"]
    assert isinstance(body, dict)
    inside = body.get("input", body)
    assert isinstance(inside, dict)
    return inside


def _paths(found: Mapping[str, object]) -> list[str]:
    images = found["images"]
    assert isinstance(images, list)
    return [str(image["path"]) for image in images]


def rows(names: Iterable[str]) -> str:
    """Return rows with prompts that tell them apart."""
    return "".join(f'[images.{name}]\nprompt = "picture {name}"\n' for name in names)


def numbered(count: int) -> list[str]:
    """Return names of rows, in order."""
    return [f"r{k:03}" for k in range(count)]


@pytest.fixture
def album(cli: Cli, server: Server) -> Album:
    """Return an album whose profiles speak to a server in fair weather."""
    cli.configure(server)
    return Album(cli=cli, server=server)


@pytest.fixture
def made(album: Album) -> Album:
    """Return an album of three rows that were made."""
    album.write(rows("abc"))
    album.make()
    assert sorted(album.bought()) == ["picture a", "picture b", "picture c"]
    return album


# -- made, current, changed ------------------------------------------------------------------------


def test_forty_rows_are_forty_purchases_once(album: Album) -> None:
    """40 rows: 40 POSTs, 40 files, their paths on stdout; the second run sends nothing."""
    names = numbered(40)
    album.write(rows(names))
    ran = album()
    assert ran.code == 0, ran.err
    assert sorted(album.bought()) == [f"picture {name}" for name in names]
    assert sorted(ran.lines) == album.pictures() == [f"{name}.png" for name in names]
    assert "40 to make, 0 current, about 4.80 CNY" in ran.err
    for line in album.lock():
        data = (album.folder / str(line["output"])).read_bytes()
        assert hashlib.sha256(data).hexdigest() == line["sha256"]
    requests = len(album.server.log())
    again = album()
    assert (again.code, again.lines) == (0, []), again.err
    assert "40 current" in again.err
    assert len(album.server.log()) == requests


def test_another_machine_finds_it_current(made: Album) -> None:
    """Without ledger, config and key `--check`, `--plan` and a run are exit 0 and send nothing."""
    requests = len(made.server.log())
    for arguments in (["--check"], ["--plan"], []):
        ran = made(*arguments, env=made.elsewhere())
        assert (ran.code, ran.lines) == (0, []), ran.err
    assert len(made.server.log()) == requests


def test_a_profile_that_another_machine_lacks_does_no_harm(album: Album) -> None:
    """What is locked needs no account: the profile that made it may be unknown here."""
    config = album.cli.home / "config.toml"
    config.write_text(config.read_text().replace("profiles.ark", "profiles.studio"))
    album.write(rows("a"), ARK.replace('profile = "ark"', 'profile = "studio"'))
    album.make()
    ran = album("--check", env=album.elsewhere())
    assert ran.code == 0, ran.err


def test_a_changed_prompt_makes_that_picture_anew(made: Album) -> None:
    """`--check` is 1 and names it, `--plan` says its price, a run buys it and replaces its file."""
    others = {name: (made.folder / name).read_bytes() for name in ("a.png", "c.png")}
    old = (made.folder / "b.png").read_bytes()
    made.change("picture b", "another b")
    check = made("--check", env=made.elsewhere())
    assert check.code == 1
    (line,) = check.lines
    assert line.split()[:3] == ["make", "b", "b.png"]
    plan = made("--plan")
    assert plan.code == 0
    assert "0.12 CNY" in plan.lines[0]
    assert made.bought() == []
    ran = made()
    assert (ran.code, ran.lines) == (0, ["b.png"]), ran.err
    assert made.bought() == ["another b"]
    assert (made.folder / "b.png").read_bytes() != old
    assert {name: (made.folder / name).read_bytes() for name in others} == others
    assert made("--check", env=made.elsewhere()).code == 0


def test_nobodys_defaults_make_a_picture_stale(album: Album) -> None:
    """Another user's default profile, size and aspect leave what is made as it is."""
    album.write(rows("a"), '[defaults]\nformat = "jpeg"\n')
    config = album.cli.home / "config.toml"
    plain = config.read_text()
    config.write_text(f'default_profile = "ark"\n{plain}')
    album.make()
    assert album.bought() == ["picture a"]
    other = plain.replace("api_key", 'size = "4K"\naspect = "16:9"\napi_key')
    config.write_text(f'default_profile = "kie"\n{other}')
    for arguments in (["--check"], []):
        ran = album(*arguments, env={"SEEDREAM_PROFILE": "uniall"})
        assert (ran.code, ran.lines) == (0, []), ran.err
    assert album.bought() == []


def test_a_file_changed_by_hand_is_never_replaced(made: Album) -> None:
    """`--check` is 1, a run leaves it as it is with exit 0, `--accept` settles it."""
    (made.folder / "b.png").write_bytes(b"retouched")
    check = made("--check")
    assert check.code == 1
    assert "changed by hand" in check.lines[0]
    (line,) = (each for each in check.err.splitlines() if "--accept b" in each)
    ran = made()
    assert (ran.code, ran.lines) == (0, []), ran.err
    assert "b is left as it is" in ran.err
    assert (made.folder / "b.png").read_bytes() == b"retouched"
    assert line.startswith("  seedream generate --batch art.toml ")
    accepted = made.cli(*shlex.split(line)[1:])  # the hint, as pasted
    assert accepted.code == 0, accepted.err
    assert made("--check", env=made.elsewhere()).code == 0
    assert (made.folder / "b.png").read_bytes() == b"retouched"
    assert made.bought() == []


def test_a_file_changed_by_hand_stands_in_the_way_of_a_new_prompt(made: Album) -> None:
    """Nothing at all is bought, the row is named with file and line, the file stays."""
    (made.folder / "b.png").write_bytes(b"retouched")
    made.change("picture b", "another b")
    made.change("picture a", "another a")
    ran = made()
    assert ran.code == 2
    assert "art.toml:8: b: " in ran.err
    (line,) = (each for each in ran.err.splitlines() if "--accept b" in each)
    assert shlex.split(line)[:4] == ["seedream", "generate", "--batch", "art.toml"]
    assert (made.folder / "b.png").read_bytes() == b"retouched"
    assert made.bought() == []


def test_a_strangers_file_is_not_replaced(album: Album) -> None:
    """A file that the lock does not know is in the way: exit 2, nothing sent, the file stays."""
    album.write(rows("ab"))
    (album.folder / "b.png").write_bytes(b"mine")
    assert album().code == 2
    assert (album.folder / "b.png").read_bytes() == b"mine"
    assert album.bought() == []


def test_a_renamed_output_is_moved(made: Album) -> None:
    """Another output is the same file at another place; nothing is bought."""
    data = (made.folder / "b.png").read_bytes()
    made.change('"picture b"', '"picture b"\noutput = "site/hero.png"')
    ran = made()
    assert (ran.code, ran.lines) == (0, ["site/hero.png"]), ran.err
    assert made.pictures() == ["a.png", "c.png", "site/hero.png"]
    assert (made.folder / "site/hero.png").read_bytes() == data
    assert made("--check", env=made.elsewhere()).code == 0
    assert made.bought() == []


def test_a_renamed_row_keeps_its_picture(made: Album) -> None:
    """A row that only got another key is the same picture: nothing is bought."""
    made.change("[images.b]", "[images.hero]")
    ran = made()
    assert ran.code == 0, ran.err
    assert [line["name"] for line in made.lock()] == ["a", "c", "hero"]
    assert made("--check", env=made.elsewhere()).code == 0
    assert made.bought() == []


def test_a_removed_row_leaves_the_lock_and_not_the_disk(made: Album) -> None:
    """Its line goes at the next run; its file stays."""
    made.write(rows("ac"))
    made.make()
    assert [line["name"] for line in made.lock()] == ["a", "c"]
    assert made.pictures() == ["a.png", "b.png", "c.png"]
    assert made.bought() == []


def test_a_lost_picture_is_fetched_again(made: Album) -> None:
    """What the ledger still has a URL of is not bought again."""
    data = (made.folder / "b.png").read_bytes()
    (made.folder / "b.png").unlink()
    ran = made()
    assert made.bought() == []
    assert (ran.code, ran.lines) == (0, ["b.png"]), ran.err
    assert "1 to fetch" in ran.err
    assert (made.folder / "b.png").read_bytes() == data


def test_a_lost_lock_is_written_anew(made: Album) -> None:
    """The ledger knows what was made: the same lock, and nothing bought."""
    lock = made.lock_file.read_bytes()
    made.lock_file.unlink()
    made.make()
    assert made.lock_file.read_bytes() == lock
    assert made.bought() == []


def test_a_copy_of_the_manifest_gets_pictures_of_its_own(made: Album) -> None:
    """In another folder the same rows are bought for it: the first one's jobs stay its own."""
    other = made.folder / "copy"
    other.mkdir()
    shutil.copy(made.folder / "art.toml", other)
    ran = made.cli("generate", "--batch", "copy/art.toml")
    assert ran.code == 0, ran.err
    copied = [json.loads(line) for line in (other / "art.lock").read_text().splitlines()]
    assert [line["output"] for line in copied] == ["a.png", "b.png", "c.png"]
    assert all((other / str(line["output"])).exists() for line in copied)
    assert sorted(made.bought()) == ["picture a", "picture b", "picture c"]
    assert made.cli("generate", "--batch", "art.toml", "--check").code == 0


# -- the lock --------------------------------------------------------------------------------------


def test_the_lock_is_sorted_and_stays_byte_for_byte(album: Album) -> None:
    """One line a picture in order of names, whatever the manifest's; no run rewrites it in vain."""
    album.write(rows(["pear", "apple"]) + '[images.fig]\nprompt = "fig"\ncount = 2\n')
    album.make()
    before = album.lock_file.read_bytes(), album.lock_file.stat().st_mtime_ns
    keys = [(line["name"], line["n"]) for line in album.lock()]
    assert keys == [("apple", 1), ("fig", 1), ("fig", 2), ("pear", 1)]
    album.make()
    assert (album.lock_file.read_bytes(), album.lock_file.stat().st_mtime_ns) == before


def test_a_clone_at_another_path_is_current(made: Album) -> None:
    """Nothing in the lock is about the place where it was written."""
    clone = made.cli.home / "clone"
    shutil.copytree(made.folder, clone)
    shutil.rmtree(made.folder)
    ran = made.cli("generate", "--batch", str(clone / "art.toml"), "--check", env=made.elsewhere())
    assert ran.code == 0, ran.out.decode() + ran.err
    assert str(made.cli.home) not in (clone / "art.lock").read_text()


def test_a_union_merge_of_two_branches_is_current(made: Album) -> None:
    """Twins are settled by the manifest; the next run leaves one line a picture, sorted."""
    old = made.lock_file.read_text()
    made.change("picture b", "another b")
    made.make()
    new = made.lock_file.read_text()
    assert made.bought() == ["another b"]
    for first, second in ((old, new), (new, old)):
        made.lock_file.write_text(first + second)
        check = made("--check", env=made.elsewhere())
        assert check.code == 0, check.out.decode() + check.err
        made.make()
        assert made.lock_file.read_text() == new
    assert made.bought() == []


@pytest.mark.parametrize("arguments", [["--check"], ["--plan"], []])
def test_conflict_markers_are_a_mistake_with_its_fix(made: Album, arguments: list[str]) -> None:
    """They are exit 2 with file, line and what to do; nothing is sent, the lock stays."""
    lines = made.lock_file.read_text().splitlines(keepends=True)
    text = "".join([lines[0], "<<<<<<< HEAD\n", lines[1], "=======\n", ">>>>>>> main\n", lines[2]])
    made.lock_file.write_text(text)
    made.change("picture a", "another a")
    ran = made(*arguments)
    assert ran.code == 2
    assert "art.lock:2: " in ran.err
    assert "merge=union" in ran.err
    assert made.lock_file.read_text() == text
    assert made.bought() == []


def test_git_lfs_pointers_count_as_their_files(made: Album) -> None:
    """A clone without the large files is current; a pointer to something else is not."""
    for line in made.lock():
        pointer = "version https://git-lfs.github.com/spec/v1\n"
        pointer += f"oid sha256:{line['sha256']}\nsize {line['bytes']}\n"
        (made.folder / str(line["output"])).write_text(pointer)
    for arguments in (["--check"], []):
        ran = made(*arguments, env=made.elsewhere())
        assert (ran.code, ran.lines) == (0, []), ran.err
    other = (made.folder / "b.png").read_text().replace("sha256:", "sha256:0")[:-1]
    (made.folder / "b.png").write_text(other)
    assert made("--check").code == 1


def test_no_files_compares_manifest_and_lock_only(made: Album) -> None:
    """`--check --no-files` is 0 where the pictures lie elsewhere, and 1 for a changed prompt."""
    for name in made.pictures():
        (made.folder / name).unlink()
    assert made("--check", env=made.elsewhere()).code == 1
    assert made("--check", "--no-files", env=made.elsewhere()).code == 0
    made.change("picture c", "another c")
    check = made("--check", "--no-files", env=made.elsewhere())
    assert check.code == 1
    assert [line.split()[1] for line in check.lines] == ["c"]


# -- manifests -------------------------------------------------------------------------------------


def test_json_lines_are_made_from_a_file_and_from_stdin(album: Album) -> None:
    """The same rows in JSON Lines; on stdin there is no lock, and the ledger keeps from twins."""
    lines = [{"name": name, "prompt": f"picture {name}", "size": "1280x720"} for name in "ab"]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    model = ["-p", "ark", "-m", "doubao-seedream-5-0-flash-260915", "--format", "png"]
    album.name = "art.jsonl"
    album.write(text, "")
    album.make(*model)
    assert sorted(album.bought()) == ["picture a", "picture b"]
    assert album.pictures() == ["a.png", "b.png"]
    album.name = "-"
    for _ in range(2):
        ran = album(*model, "-o", "piped/", stdin=text.replace("picture", "piped").encode())
        assert ran.code == 0, ran.err
    assert sorted(album.bought()) == ["piped a", "piped b"]
    assert album.pictures() == ["a.png", "b.png", "piped/a.png", "piped/b.png"]
    assert list(album.folder.rglob("*.lock")) == [album.folder / "art.lock"]


def test_each_line_of_a_text_is_a_prompt(album: Album) -> None:
    """Empty lines count for nothing, names come of the prompts, and their order does not matter."""
    model = ["-p", "ark", "-m", "doubao-seedream-5-0-flash-260915", "--format", "png"]
    model += ["-s", "1280x720"]
    album.name = "art.txt"
    album.write("a fox\n\n  \na 灯塔\n", "")
    album.make(*model)
    assert sorted(album.bought()) == ["a fox", "a 灯塔"]
    assert [name.rpartition("-")[0] for name in album.pictures()] == ["a-fox", "a-灯塔"]
    album.write("a 灯塔\na fox\n", "")
    album.make(*model)
    assert album.bought() == []


def test_all_mistakes_are_named_at_once(album: Album) -> None:
    """Each with file, line and field; exit 2, and not even a good row is sent."""
    text = rows("a") + (
        '[images.b]\nprompt = "x"\nsise = "2K"\n'
        '[images.c]\nprompt = ""\n'
        '[images.d]\nprompt = "x"\ncount = 0\n'
        '[images.e]\nprompt = "x"\nreferences = ["images.q"]\n'
        '[images.f]\nprompt = "x"\noutput = "{job}.png"\n'
    )
    album.write(text)
    wanted = [(10, "b", "sise"), (12, "c", "prompt"), (15, "d", "count")]
    wanted += [(18, "e", "references"), (21, "f", "output")]
    for arguments in ([], ["--plan"], ["--check"]):
        ran = album(*arguments)
        assert (ran.code, ran.out) == (2, b"")
        for line, row, key in wanted:
            (said,) = [each for each in ran.err.splitlines() if f"art.toml:{line}: " in each]
            assert row in said
            assert key in said
        assert "did you mean size?" in ran.err
    assert album.server.log() == []


def test_what_the_model_cannot_do_is_named_for_every_row(album: Album) -> None:
    """A size and an option that the model lacks: both rows with file and line, nothing sent."""
    album.write(rows("a") + '[images.b]\nprompt = "x"\nsize = "8K"\n')
    ran = album("--steps", "4")
    assert ran.code == 2
    assert "art.toml:6: a: " in ran.err
    assert "art.toml:8: b: " in ran.err
    assert "--steps" in ran.err
    assert "art.toml:10: images.b.size: " in ran.err
    assert "--size" not in ran.err
    assert album.server.log() == []


def test_mistakes_of_form_and_of_models_are_told_together(album: Album) -> None:
    """Each at the line of its field, in the manifest's words; other rows are not blamed for it."""
    album.write(
        '[images.a]\nprompt = "x"\nsise = "2K"\nguidance = 3.5\n'
        '[images.b]\nprompt = "x"\nreferences = ["no.png"]\nsteps = 4\n'
        '[images.c]\nprompt = "x"\nreferences = ["images.q"]\n'
        '[images.d]\nprompt = "x"\nreferences = ["images.c", "images.d"]\n'
        '[images.e]\nprompt = "x"\nprofile = "nobody"\nmodel = "x y"\n'
        '[images.f]\nprompt = "x"\nset = { prompt = "y" }\n'
        '[images.g]\nprompt = "x"\nprofile = "byteplus"\nmodel = "seedream-4-5-251128"\n'
        'size = "2K"\n',
    )
    for arguments in ([], ["--plan"]):
        ran = album(*arguments)
        assert (ran.code, ran.out) == (2, b"")
        told = [line.partition(": ")[0] + ": " + line.split(": ")[1]
                for line in ran.err.removeprefix("seedream: ").splitlines()
                if line.startswith("art.toml")]  # fmt: skip
        assert told == [
            "art.toml:5: images.g.format",
            "art.toml:8: images.a",
            "art.toml:9: images.a.guidance",
            "art.toml:12: images.b.references",
            "art.toml:13: images.b.steps",
            "art.toml:16: images.c",
            "art.toml:19: images.d",
            "art.toml:22: profile",
            "art.toml:26: images.f.set",
        ]
        assert not {"--steps", "--set", "--guidance", "-o ", "-m ", "-i "} & set(ran.err.split())
    assert album.server.log() == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("art.toml", '[images.a]\nprompt = "x\n', "art.toml:2: "),
        ("art.toml", '[images.a]\nprompt = "x"\n[images.a]\nprompt = "y"\n', "art.toml:3: "),
        ("art.jsonl", '{"prompt": "x"}\nnonsense\n{"prompt": 3}\n', "art.jsonl:2: "),
        ("art.jsonl", '{"prompt": "x"}\nnonsense\n{"prompt": 3}\n', "art.jsonl:3: prompt"),
        ("art.txt", "\n\n", "no picture"),
        ("art.toml", "", "no picture"),
    ],
)
def test_what_is_no_manifest_is_exit_2(album: Album, name: str, text: str, said: str) -> None:
    """Broken syntax is named with its line; an empty manifest is a mistake, too."""
    album.name = name
    album.write(text, "")
    ran = album("-p", "ark")
    assert ran.code == 2
    assert said in ran.err
    assert album.server.log() == []


def test_a_reference_is_made_first(album: Album) -> None:
    """A row that names another one is sent after it, whatever the manifest's order."""
    album.write(
        '[images.night]\nprompt = "at night"\nreferences = ["images.hero"]\n'
        '[images.rain]\nprompt = "in rain"\nreferences = ["images.night"]\n'
        '[images.hero]\nprompt = "a lighthouse"\n'
    )
    album.make()
    assert album.bought() == ["a lighthouse", "at night", "in rain"]
    bodies = {str(_body(entry)["prompt"]): _body(entry) for entry in _submits(album.server)}
    assert "image" not in bodies["a lighthouse"]
    assert bodies["at night"]["image"] != bodies["in rain"]["image"]
    album.make()
    assert album.bought() == []


def test_a_changed_reference_makes_anew_what_is_made_from_it(album: Album) -> None:
    """The row and those behind it are stale, others are not; a local reference counts too."""
    album.write(
        '[images.hero]\nprompt = "a lighthouse"\n[images.other]\nprompt = "other"\n'
        '[images.night]\nprompt = "at night"\nreferences = ["images.hero"]\n'
        '[images.board]\nprompt = "as here"\nreferences = ["style.png"]\n'
    )
    album.cli("generate", "a board", "--sandbox", "-p", "uniall", "-o", "style.png")
    album.make()
    assert len(album.bought()) == 4
    album.change("a lighthouse", "a castle")
    check = album("--check", env=album.elsewhere())
    assert [line.split()[1] for line in check.lines] == ["hero", "night"]
    album.make()
    assert album.bought() == ["a castle", "at night"]
    shutil.copy(album.folder / "hero.png", album.folder / "style.png")
    check = album("--check", env=album.elsewhere())
    assert [line.split()[1] for line in check.lines] == ["board"]
    album.make()
    assert album.bought() == ["as here"]


def test_a_count_names_its_pictures(album: Album) -> None:
    """`count = 2` is hero-1 and hero-2, two purchases; a third is one more."""
    album.write('[images.hero]\nprompt = "x"\ncount = 2\n')
    album.make()
    assert album.pictures() == ["hero-1.png", "hero-2.png"]
    assert len(album.bought()) == 2
    album.change("count = 2", "count = 3")
    album.make()
    assert album.pictures() == ["hero-1.png", "hero-2.png", "hero-3.png"]
    assert len(album.bought()) == 1


LINKED = (
    '[images.hero]\nprompt = "a lighthouse"\n'
    '[images.night]\nprompt = "at night"\nreferences = ["images.hero"]\n'
)


def test_a_row_reference_travels_on_kie(album: Album) -> None:
    """A picture just made goes by its URL; on another machine, where only its file is, uploaded."""
    model = 'model = "seedream/5-flash-image-to-image"\n'
    album.write(LINKED.replace("[images.night]\n", f"[images.night]\n{model}"), KIE)
    album.make()
    assert album.bought() == ["a lighthouse", "at night"]
    assert not [entry for entry in album.server.log() if "upload" in str(entry["path"])]
    album.change("at night", "at noon")
    shutil.rmtree(album.cli.home / "state")
    album.make()
    assert album.bought() == ["at noon"]
    uploads = [entry for entry in album.server.submits() if "upload" in str(entry["path"])]
    assert len(uploads) == 1


def test_a_row_reference_travels_by_url_only_on_uniall(album: Album) -> None:
    """A picture just made goes by its URL; one of which only the file is left is exit 2, unsent."""
    album.write(LINKED, UNIALL)
    album.make()
    assert album.bought() == ["a lighthouse", "at night"]
    album.change("at night", "at noon")
    shutil.rmtree(album.cli.home / "state")
    ran = album()
    assert ran.code == 2, ran.err
    assert "uniall" in ran.err
    assert album.bought() == []


# -- JSON ------------------------------------------------------------------------------------------


def test_json_is_one_object_a_row(album: Album) -> None:
    """Made, then skipped, then fetched from the ledger: each row once, with `row` and its path."""
    album.write(rows("abc"))
    for is_skipped in (False, True):
        ran = album("--json")
        assert ran.code == 0, ran.err
        found = {str(each["row"]): each for each in ran.objects}
        assert sorted(found) == ["a", "b", "c"]
        assert len(ran.objects) == 3
        assert {each["skipped"] for each in found.values()} == {is_skipped}
        assert {each["state"] for each in found.values()} == {"saved"}
        assert {each["charge"] for each in found.values()} == {"none" if is_skipped else "charged"}
        for name, each in found.items():
            assert _paths(each) == [str(album.folder / f"{name}.png")]
    assert len(album.bought()) == 3


def test_json_tells_of_rows_that_only_the_ledger_knew(made: Album) -> None:
    """Where a kill cost the lock, the rows that are there are objects like all current ones."""
    made.lock_file.unlink()
    ran = made("--json")
    assert ran.code == 0, ran.err
    assert sorted(str(each["row"]) for each in ran.objects) == ["a", "b", "c"]


def test_json_of_rows_that_were_not_bought(album: Album) -> None:
    """A refused row has its error; one made from it was never sent and says why."""
    album.server.change_weather("refuse:1")
    album.write(LINKED)
    ran = album("--json")
    assert ran.code == 3, ran.err
    found = {str(each["row"]): each for each in ran.objects}
    assert len(ran.objects) == len(found) == 2
    assert found["hero"]["state"] == "refused"
    night = found["night"]
    assert (night["job"], night["charge"], night["cost"]) == (None, "none", None)
    assert "hero" in night["error"]["message"]  # type: ignore[index]
    assert album.bought() == ["a lighthouse"]


def test_json_errors_before_there_is_a_job(album: Album) -> None:
    """A mistake in the manifest, and no key, are one object with `job` null."""
    album.write("nonsense = 1\n", "")
    (found,) = album("--json").objects
    assert (found["job"], found["error"]["exit"]) == (None, 2)  # type: ignore[index]
    album.write(rows("a"))
    ran = album("--json", env=album.elsewhere())
    (found,) = ran.objects
    assert ran.code == 4, ran.err
    assert (found["job"], found["error"]["code"]) == (None, "auth")  # type: ignore[index]
    assert album.server.log() == []


@pytest.mark.parametrize("flag", ["--plan", "--check"])
def test_plans_and_checks_have_json(made: Album, flag: str) -> None:
    """One object a picture: what is to be done, why, where, and the price."""
    made.change("picture b", "another b")
    made.change('"picture c"', '"picture c"\noutput = "d.png"')
    (made.folder / "a.png").write_bytes(b"retouched")
    ran = made(flag, "--json", env=made.elsewhere())
    assert ran.code == (1 if flag == "--check" else 0)
    found = {str(each["row"]): each for each in ran.objects}
    actions = {name: each["action"] for name, each in found.items()}
    assert actions == {"a": "leave", "b": "make", "c": "move"}
    assert found["b"]["price"] == {"amount": 0.12, "currency": "CNY", "estimated": True}
    assert found["c"]["output"] == "d.png"
    assert all(found[name]["reason"] for name in found)
    assert {key for each in found.values() for key in each} >= {
        "row", "n", "action", "reason", "output", "price", "job"
    }  # fmt: skip
    assert made.bought() == []


# -- bounds ----------------------------------------------------------------------------------------


def test_max_images_bounds_what_is_bought(album: Album) -> None:
    """`--max-images 2` of 5 buys two and is exit 3; the next run goes on with the others."""
    album.write(rows(numbered(5)))
    ran = album("--max-images", "2")
    assert ran.code == 3, ran.err
    assert len(album.bought()) == len(ran.lines) == 2
    assert album("--max-images", "0").code == 3
    assert album.bought() == []
    album.make()
    assert len(album.bought()) == 3


def test_max_cost_bounds_what_is_spent(album: Album) -> None:
    """Of pictures at 0.0162 USD two are bought for 0.04 USD; the next run buys the others."""
    album.write(rows("abcde"), KIE)
    ran = album("--max-cost", "0.04USD")
    assert ran.code == 3, ran.err
    assert len(album.bought()) == 2
    assert album("--max-cost", "1USD").code == 0
    assert len(album.bought()) == 3


@pytest.mark.parametrize(("defaults", "cost"), [(UNIALL, "1USD"), (ARK, "1USD"), (ARK, "much")])
def test_max_cost_needs_prices(album: Album, defaults: str, cost: str) -> None:
    """A price that is not known, or in another currency, is exit 2 with nothing sent."""
    album.write(rows("ab"), defaults)
    ran = album("--max-cost", cost)
    assert ran.code == 2
    assert "--max-cost" in ran.err
    assert album.server.log() == []


def test_fail_fast_begins_nothing_more(album: Album) -> None:
    """After the first refusal no row is sent; without it all others are."""
    album.server.change_weather("refuse:1")
    album.write(rows(numbered(8)))
    ran = album("--fail-fast", "-j", "1")
    assert ran.code == 3, ran.err
    assert len(album.bought()) == 1
    album.server.change_weather("refuse:1")
    ran = album("-j", "1")
    assert ran.code == 3, ran.err
    assert len(album.bought()) == 8
    assert len(album.pictures()) == 7


def test_one_at_a_time(album: Album) -> None:
    """With `-j 1` no request is sent while another one is unanswered."""
    album.write(rows(numbered(6)))
    album.make("-j", "1")
    sent = sorted(float(str(entry["at"])) for entry in _submits(album.server))
    assert len(sent) == 6
    # The server takes 0.05 s for an answer.
    assert min(after - before for before, after in pairwise(sent)) >= 0.05


def test_a_wrong_key_is_noticed_early(album: Album) -> None:
    """Of 500 rows at most as many are sent with a wrong key as -j allows; exit 4, nothing bought.

    That no more than four go before an answer, whatever -j says, is tested with the pace, where no
    busy machine delays the answer.
    """
    album.cli.configure(album.server, "sk-wrong")
    album.write(rows(numbered(500)))
    ran = album("-j", "4")
    assert ran.code == 4, ran.err
    assert 1 <= len(album.bought()) <= 4
    assert "the account was refused" in ran.err
    assert len(ran.err.splitlines()) < 30


def test_three_unknown_outcomes_stop_it(album: Album) -> None:
    """Exit 5; the next run does not buy those three again, and makes all others."""
    album.server.change_weather("drop:3")
    names = numbered(20)
    album.write(rows(names))
    ran = album("-j", "3")
    assert ran.code == 5, ran.err
    assert "3 outcomes are unknown" in ran.err
    first = album.bought()
    # How many are under way beside the third is up to the machine; not all of them are.
    assert 3 <= len(first) < len(names)
    again = album()
    assert again.code == 5, again.err
    bought = Counter(first + album.bought())
    assert bought == {f"picture {name}": 1 for name in names}
    assert len(album.pictures()) == 17
    assert "to fetch" not in again.err
    status = album.cli("status", "--state", "unknown", "--offline", "--json")
    unknown = {str(job["row"]) for job in status.objects}
    assert unknown | {str(line["name"]) for line in album.lock()} == set(names)
    assert len(unknown) == 3


def test_a_busy_answer_is_waited_for(album: Album) -> None:
    """After a 429 the row is sent again, and nothing twice that was taken."""
    album.server.change_weather("429:1")
    album.write(rows("abc"))
    album.make()
    assert len(album.bought()) == 4
    charges = album.server.counters()["charges"]
    assert isinstance(charges, list)
    assert sorted(charge["prompt"] for charge in charges) == [f"picture {name}" for name in "abc"]


# -- shards, and runs at the same time -------------------------------------------------------------


def test_three_shards_make_one_lock(album: Album) -> None:
    """Three ledgers, 30 POSTs; a run without a key folds the parts in; another N is exit 2."""
    names = numbered(30)
    album.write(rows(names))
    for k in (1, 2, 3):
        ran = album(
            "--shard", f"{k}/3", env={"SEEDREAM_STATE_DIR": str(album.cli.home / f"state-{k}")}
        )
        assert ran.code == 0, ran.err
    assert album("--check", env=album.elsewhere()).code == 0
    assert sorted(album.bought()) == [f"picture {name}" for name in names]
    parts = [f"art.{k}-of-3.lock" for k in (1, 2, 3)]
    assert sorted(path.name for path in album.folder.glob("*.lock")) == parts
    other = album("--shard", "1/4")
    assert other.code == 2
    assert "without --shard" in other.err
    folded = album(env=album.elsewhere())
    assert folded.code == 0, folded.err
    assert [path.name for path in album.folder.glob("*.lock")] == ["art.lock"]
    assert [line["name"] for line in album.lock()] == names
    assert album.bought() == []


def test_two_runs_of_one_batch_take_turns(cli: Cli, start_server: StartServer) -> None:
    """While one is under way another one is exit 2 with nothing sent; reading is allowed."""
    server = start_server(delay=3)
    cli.configure(server)
    album = Album(cli=cli, server=server)
    album.write(rows("ab"))
    first = cli.start("generate", "--batch", "art.toml")
    _wait_for(server, 2)
    second = album()
    check = album("--check")
    assert second.code == 69
    assert "another run of this batch is under way" in second.err
    assert check.code == 1
    _, err = first.communicate(timeout=30)
    assert first.returncode == 0, err.decode()
    assert sorted(album.bought()) == ["picture a", "picture b"]


def test_two_clones_at_once_keep_their_pictures_apart(cli: Cli, start_server: StartServer) -> None:
    """The same rows under way in two folders: no run takes the other's, no lock leaves its own."""
    server = start_server(delay=3)
    cli.configure(server)
    albums = [Album(cli=cli, server=server, name=f"{name}/art.toml") for name in ("one", "two")]
    for album in albums:
        (album.folder / album.name).parent.mkdir(parents=True)
        album.write(rows("a"), KIE)
    first = cli.start("generate", "--batch", albums[0].name)
    _wait_for(server, 1)
    # The POST is logged before it is answered; the first run is to have its task.
    time.sleep(0.5)
    albums[1]()
    out, err = first.communicate(timeout=30)
    assert (first.returncode, out) == (0, b"one/a.png\n"), err.decode()
    assert [line["output"] for line in albums[0].lock()] == ["a.png"]
    albums[1].make()
    assert [line["output"] for line in albums[1].lock()] == ["a.png"]
    assert albums[0].pictures() == ["one/a.png", "two/a.png"]


def _wait_for(server: Server, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(_submits(server)) < count:
        assert time.monotonic() < deadline, "nothing was sent"
        time.sleep(0.02)


def test_the_rate_limit_holds_over_processes(album: Album, soak: Soak) -> None:
    """Two batches of rows at once on KIE, 22 (or 60) together: at most 20 submits in any 10 s."""
    count = soak.times(11, long=30)
    for name in ("one", "two"):
        album.name = f"{name}.toml"
        album.write(rows(f"{name}{k:02}" for k in range(count)), KIE)
    running = [album.cli.start("generate", "--batch", name) for name in ("one.toml", "two.toml")]
    for process in running:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
    sent = sorted(float(str(entry["at"])) for entry in _submits(album.server))
    assert len(sent) == 2 * count
    assert all(later - sooner >= 10 for sooner, later in zip(sent, sent[20:], strict=False))


# -- CI and terminals ------------------------------------------------------------------------------


def _on_github(album: Album) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "CI": "true",
        "GITHUB_STEP_SUMMARY": str(album.cli.home / "summary"),
        "GITHUB_OUTPUT": str(album.cli.home / "output"),
        "GITHUB_WORKSPACE": str(album.cli.home),
    }


def test_github_is_told(album: Album) -> None:
    """A refused row is annotated at its line; counts and cost are the step's outputs."""
    album.server.change_weather("refuse:1")
    album.write(rows("abc"))
    ran = album("-j", "1", env=_on_github(album))
    assert ran.code == 3, ran.err
    marks = [line for line in ran.err.splitlines() if line.startswith("::")]
    assert len(marks) == 1
    assert marks[0].startswith("::error file=work/art.toml,line=6,title=a::")
    outputs = (album.cli.home / "output").read_text().splitlines()
    counts = {"made": "2", "current": "0", "fetched": "0", "moved": "0", "left": "0"}
    said = dict(line.split("=", 1) for line in outputs)
    assert said == counts | {"failed": "1", "cost": "0.24 CNY"}
    summary = (album.cli.home / "summary").read_text()
    assert "2 made, 0 current, 1 failed" in summary
    album.make()
    again = album(env=_on_github(album))
    assert again.code == 0
    assert "::" not in again.err
    outputs = (album.cli.home / "output").read_text().splitlines()[len(said) :]
    counts |= {"made": "0", "current": "3", "failed": "0", "cost": "0"}
    assert dict(line.split("=", 1) for line in outputs) == counts


@pytest.mark.parametrize("flag", ["--plan", "--check"])
def test_github_is_told_of_a_plan(made: Album, flag: str) -> None:
    """The table and the outputs, with the numbers of stderr; without an output nothing is lost."""
    made.change("picture b", "another b")
    made.change('"picture c"', '"picture c"\noutput = "d.png"')
    ran = made(flag, env=_on_github(made))
    assert ran.code == (1 if flag == "--check" else 0)
    summary = (made.cli.home / "summary").read_text().splitlines()
    words = "1 to make, 1 to move, 1 current, about 0.12 CNY"
    assert words in ran.err
    assert summary[0] == f"### art.toml: {words}"
    assert summary[2] == "| picture | act | why | price |"
    assert summary[4].startswith("| b | make | its description changed")
    assert summary[4].endswith("| 0.12 CNY |")
    assert summary[5].startswith("| c | move | it was c.png")
    outputs = (made.cli.home / "output").read_text().splitlines()
    assert outputs == ["to_make=1", "cost=0.12 CNY"]


def test_summary_and_stderr_have_the_same_numbers(made: Album) -> None:
    """What a run says at its end is the heading of the summary, word by word."""
    (made.folder / "a.png").write_bytes(b"retouched")
    made.change("picture b", "another b")
    ran = made(env=_on_github(made))
    heading = (made.cli.home / "summary").read_text().splitlines()[0]
    said = "1 made, 1 current, 1 changed by hand; cost about 0.12 CNY"
    assert (heading, said in ran.err.splitlines()) == (f"### art.toml: {said}", True)


def test_a_machine_that_forgets_is_not_warned_for_nothing(made: Album) -> None:
    """Where all is there, or paid for, no kill can cost anything."""
    state = {"SEEDREAM_STATE_DIR": "", "XDG_STATE_HOME": str(made.cli.home / "xdg")}
    assert "may forget" not in made(env=_on_github(made) | state).err
    (made.cli.home / "xdg").mkdir(exist_ok=True)
    shutil.copytree(made.cli.state, made.cli.home / "xdg" / "seedream", dirs_exist_ok=True)
    (made.folder / "b.png").unlink()
    ran = made(env=_on_github(made) | state)
    assert (ran.code, "1 to fetch" in ran.err, "may forget" in ran.err) == (0, True, False)


def test_a_machine_that_forgets_is_told_once(album: Album) -> None:
    """In CI without SEEDREAM_STATE_DIR one note says where the state lives; with it none."""
    album.write(rows("ab"))
    state = {"SEEDREAM_STATE_DIR": "", "XDG_STATE_HOME": str(album.cli.home / "xdg")}
    ran = album(env=_on_github(album) | state)
    assert ran.code == 0, ran.err
    assert ran.err.count("may forget") == 1
    assert ran.err.count("SEEDREAM_STATE_DIR") == 1
    assert str(album.cli.home / "xdg" / "seedream") in ran.err
    album.change("picture a", "another a")
    assert "may forget" not in album(env=_on_github(album)).err


def test_a_terminated_run_is_taken_up_again(cli: Cli, start_server: StartServer) -> None:
    """Out within 7 s with 143; the second run finishes, and no row was bought twice."""
    server = start_server(delay=0.3)
    cli.configure(server)
    album = Album(cli=cli, server=server)
    names = numbered(12)
    album.write(rows(names))
    process = cli.start("generate", "--batch", "art.toml", "-j", "2", env=_on_github(album))
    _wait_for(server, 4)
    at = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - at < LONGEST
    assert process.returncode == 143, err.decode()
    first = album.bought()
    assert len(first) < len(names)
    ran = album(env=_on_github(album))
    assert ran.code == 0, ran.err
    assert sorted(first + album.bought()) == [f"picture {name}" for name in names]
    assert album.pictures() == [f"{name}.png" for name in names]


def test_a_terminal_is_asked_once(album: Album) -> None:
    """More than ten pictures are asked about; `n` sends nothing, `-y` and a yes go on."""
    names = numbered(11)
    album.write(rows(names))
    said_no = album.cli.on_terminal("generate", "--batch", "art.toml", answer="n")
    assert said_no.code == 2, said_no.err
    assert "Make 11 pictures? [y/N]" in said_no.err
    assert album.server.log() == []
    said_yes = album.cli.on_terminal("generate", "--batch", "art.toml", answer="y")
    assert said_yes.code == 0, said_yes.err
    assert said_yes.err.count("[y/N]") == 1
    assert len(album.bought()) == 11
    for words, arguments in (("another", ["-y"]), ("a third", [])):
        album.write(rows(names).replace("picture", words))
        if not arguments:  # ten are not asked about
            album.write(rows(names[:10]).replace("picture", words))
        ran = album.cli.on_terminal("generate", "--batch", "art.toml", *arguments, answer="n")
        assert ran.code == 0, ran.err
        assert "[y/N]" not in ran.err


def test_stdin_that_is_no_terminal_is_never_asked(album: Album) -> None:
    """A pipe would answer for nobody: 11 pictures are made."""
    album.write(rows(numbered(11)))
    ran = album(stdin=b"n\n")
    assert ran.code == 0, ran.err
    assert "[y/N]" not in ran.err


def test_the_plan_says_what_was_paid_for_and_is_to_be_fetched(cli: Cli, server: Server) -> None:
    """What the ledger knows is in the plan, so that plan and run agree; nothing changes."""
    cli.configure(server)
    manifest = cli.work / "art.txt"
    cli.work.mkdir(parents=True, exist_ok=True)
    manifest.write_text("a lighthouse at dawn\na fox in the snow\n")
    assert cli("generate", "--batch", "art.txt", "-p", "kie").code == 0
    gone = cli.pictures()[0] if cli.pictures()[0].suffix == ".png" else cli.pictures()[-1]
    gone.unlink()
    for _ in range(2):
        plan = cli("generate", "--batch", "art.txt", "-p", "kie", "--plan", "--json")
        actions = sorted(str(each["action"]) for each in plan.objects)
        assert actions == ["current", "fetch"]
        assert "0 to make, 1 to fetch, 1 current" in plan.err
    before = len(server.submits())
    assert cli("generate", "--batch", "art.txt", "-p", "kie").code == 0
    assert gone.exists()
    assert len(server.submits()) == before
