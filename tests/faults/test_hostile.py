"""Strings that would like to be obeyed: from providers, prompts and file names, to every sink."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from seedream_cli.cli.output import job as render
from seedream_cli.cli.output import progress
from seedream_cli.cli.output import table as listing
from seedream_cli.core.errors import SeedreamError
from seedream_cli.core.events import Exchange, JobChanged, Note, Waiting
from seedream_cli.core.model import Charge, Image, Problem, State
from seedream_cli.core.text import clean, escape_unseen, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.conftest import Bench
    from support.command import Cli
    from support.wire import Chaos, Host, Play, Visit

    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Job
    from seedream_cli.sandbox.server import Sandbox

ATOMS: Final = (
    "\x1b[31m", "\x1b[2J", "\x1b[H", "\x1b[1;1H", "\x1b[?1049h", "\x1b]0;title\x07",
    "\x1b]52;c;eA==\x07", "\x1b]8;;http://evil.example\x1b\\", "\x1b]8;;", "\x1bP+q544e\x1b\\",
    "\x1b_G\x1b\\", "\x1b^pm\x1b\\", "\x1bX", "\x1bc", "\x1b", "\x1b(0", "\x1b#8", "\x1b[",
    "\x1b[6n", "\x1b[c", "\x1b]", "\x9b31m", "\x9d0;x\x9c", "\x90q\x9c", "\x84", "\x85", "\x8d",
    "\x9c", "\x00", "\x07", "\x08\x08\x08", "\x0b", "\x0c", "\x0e", "\x0f", "\x7f", "\r",
    "\r\n", "\n", "\n\n", "\t", "\u202e", "\u202a", "\u2066", "\u2069", "\u200f", "\u061c",
    "\u200b", "\u2060", "\ufeff", "\u2028", "\u2029", "\U000e0041\U000e0042", "\ufff9",
    "\u00ad", "\u034f", "\u180e", "\ud800", "\udfff", "\udcff", "\udc1b[31m",
    "::error file=a::boom", "\n::error::boom", "::set-output name=a::b", "\n  ::add-mask::x",
    "##[error]boom", "##vso[task.setvariable variable=a]b", "##teamcity[x]", "\r::warning::x",
    "[bold red]x[/bold red]", "[link=http://evil.example]x[/link]", "[/]", "[", "\\[bold]",
    "{slug}", "{0}", "%s%n", "{job", "}", "$(id)", "`id`", "; rm -rf ~", "' OR 1=1 --", '"',
    "\\", "\\x1b[31m", "\\u001b[31m", "&#27;", "../../../etc/passwd", "/etc/passwd", "~root",
    "C:\\Windows\\evil", "..", ".", "-rf", "--help", "con", "a/../b", "مرحبا", "שלום", "नमस्ते",
    "你好世界", "👩‍👩‍👧‍👦",
    "e\u0301\u0323\u0302" * 20, "x" * 5000, "🦊" * 300, "<script>", "\ufffe",
    "\uffff",
)  # fmt: skip

UNSEEN: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What may be in no line that is shown; written down apart from the code that removes it."""
COMMANDS: Final = re.compile(r"(?m)^[^\S\n]*::|##\w*\[")
"""What CI runners obey."""
RICH: Final = re.compile(r"\x1b\[(?:\?25[lh]|[0-9;]*m|[0-9]*[AK]|2K|1A|0K)|\r(?!\n)|\r\n")
"""What our own live display may send: hide and show the cursor, colours, up, erase."""


def strings() -> list[str]:
    """Return at least 500 hostile strings: each atom alone, inside words, and mixed by seed."""
    dice = random.Random(20261121)
    found = [*ATOMS, *(f"a fox{atom}at dawn" for atom in ATOMS)]
    while len(found) < 520:
        found.append("".join(dice.choices(ATOMS, k=dice.randint(2, 6))))
    return found


STRINGS: Final = strings()
WORDS: Final = [text.encode("utf-8", "replace").decode() for text in STRINGS]
"""The same as a server can write them outside of JSON escapes."""


def harmless(text: str | bytes, where: str, *, is_tabbed: bool = False, is_ci: bool = True) -> None:
    """Assert that nothing in what was shown is obeyed by a terminal or a CI runner."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if is_tabbed:
        text = text.replace("\t", " ")
    found = UNSEEN.search(text)
    assert found is None, (where, text[max(0, found.start() - 30) : found.end() + 30])
    command = COMMANDS.search(text) if is_ci else None
    assert command is None, (where, text[max(0, command.start() - 30) : command.end() + 30])


def job_of(make_job: Callable[..., Job], text: str) -> Job:
    """Return a job that has a hostile string wherever a stranger could have put one."""
    problem = Problem("provider_failed", text, text)
    image = Image(job="0000aaaa", index=1, n=1, url=text, path=f"/home/{text}", name=text)
    broken = Image(job="0000aaaa", index=2, n=2, problem=problem, name=text)
    return make_job(
        prompt=text,
        model=text,
        profile=text,
        task_id=text,
        request_id=text,
        problem=problem,
        state=State.FAILED,
        charge=Charge.MAYBE,
        request={"size": text, "seed": text, "references": [text, text]},
        images=(image, broken),
    )


# -- every sink in this process --------------------------------------------------------------------


def test_status_shows_nothing_that_is_obeyed(make_job: Callable[..., Job]) -> None:
    """Table and details of `status`: one line each, no control character, no CI command."""
    for text in STRINGS:
        job = job_of(make_job, text)
        for width in (20, 80, 200):
            lines = listing.table([job], job.created_at, width)
            assert len(lines) == 2
            for line in lines:
                harmless(line, "table")
                assert "\n" not in line
        for line in listing.details(job, job.created_at):
            harmless(line, "details", is_tabbed=True)


def test_sentences_show_nothing_that_is_obeyed(make_job: Callable[..., Job]) -> None:
    """Error sentences, cleaned as the observer cleans them, hold nothing that is obeyed."""
    for text in STRINGS:
        job = job_of(make_job, text)
        assert job.problem is not None
        for state in State:
            words = render.sentence(make_job(state=state), job.problem)
            harmless(clean(words, ci=True), "sentence", is_tabbed=True)


def test_json_is_ascii_and_faithful(make_job: Callable[..., Job]) -> None:
    """`--json` is one line of printable ASCII that gives the very string back."""
    for text in STRINGS:
        job = job_of(make_job, text)
        for value in (
            render.job_json(job),
            render.error_json(SeedreamError(text, hint=text, code="usage")),
        ):
            line = render.to_line(value)
            assert re.fullmatch(r"[ -~]+", line), text
            harmless(line, "json")
            assert json.loads(line) == json.loads(json.dumps(value))
        assert json.loads(render.to_line(render.job_json(job)))["prompt"] == text


def test_sidecars_hold_nothing_that_is_obeyed() -> None:
    """JSON that people print with `cat` says the same with all that is unseen escaped."""
    for text in STRINGS:
        shown = escape_unseen(json.dumps({"prompt": text}, ensure_ascii=False, indent=2))
        assert UNSEEN.search(shown) is None, text
        assert json.loads(shown) == {"prompt": text}


def test_no_string_is_wider_than_its_column() -> None:
    """A cleaned and shortened string never breaks out of the room that it has."""
    for text in STRINGS:
        for width in (0, 1, 2, 8, 40):
            short = shorten(clean(text, one_line=True), width)
            harmless(clean(short, ci=True), "short")
            assert "\n" not in short
            assert len(short) <= max(width * 12, 400)


def events_of(make_job: Callable[..., Job], text: str) -> list[Event]:
    """Return every event that can carry a stranger's words."""
    job = make_job()
    return [
        JobChanged(job=job, word=text),
        Waiting(job_id=job.id, seconds=3.0, reason=text),
        Note(message=text),
        Note(message=text, is_warning=True),
        Exchange(method="GET", host=text, path=text, status=200, seconds=0.1, detail=f"< {text}"),
    ]


@pytest.mark.parametrize("is_ci", [True, False])
def test_progress_lines_show_nothing_that_is_obeyed(
    make_job: Callable[..., Job], capfdbinary: pytest.CaptureFixture[bytes], *, is_ci: bool
) -> None:
    """The plain lines of progress, piped, in CI or not: no control character, none obeyed."""
    show = progress.Plain(verbose=2, is_ci=is_ci)
    for text in STRINGS:
        for event in events_of(make_job, text):
            show(event)
        show.say(text)
        show.say(text, is_error=True)
    shown = capfdbinary.readouterr().err.decode()
    assert len(shown) > 10_000
    assert UNSEEN.search(shown.replace("\t", " ")) is None
    if is_ci:
        harmless(shown, "plain", is_tabbed=True)


class Terminal:
    """A pseudo-terminal whose other end keeps everything that it is sent."""

    def __init__(self) -> None:
        """Open it and begin to read."""
        self.master, self.slave = pty.openpty()
        self.data = b""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self.master], [], [], 0.05)
            if ready:
                try:
                    self.data += os.read(self.master, 65536)
                except OSError:
                    return
            elif self._is_over.is_set():
                return

    def close(self) -> bytes:
        """Return all that was shown."""
        os.close(self.slave)
        self._is_over.set()
        self._thread.join(5)
        os.close(self.master)
        return self.data


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Return a terminal."""
    made = Terminal()
    yield made
    if not made._is_over.is_set():
        made.close()


LIVE: Final = """
import json, sys
from datetime import UTC, datetime
from seedream_cli.cli.output.progress import Live
from seedream_cli.core.events import Exchange, JobChanged, Note, Waiting
from seedream_cli.core.model import Charge, Job, State

job = Job(id="0000aaaa", run="run00001", state=State.RUNNING, charge=Charge.CHARGED, provider="kie",
          profile="kie", origin="https://a.example", sandbox=False, model="m", prompt="p",
          request={}, recipe={}, purchase_digest="f", output={}, first_n=1, expected=1,
          created_at=datetime(2026, 11, 21, tzinfo=UTC))
with Live(verbose=2) as show:
    for text in json.load(open(sys.argv[1])):
        show(JobChanged(job=job, word=text))
        show(Waiting(job_id=job.id, seconds=3.0, reason=text))
        show(Note(message=text))
        show(Exchange(method="GET", host=text, path=text, status=1, seconds=0.1, detail=text))
        show.say(text)
        show.say(text, is_error=True)
        show._screen.refresh()
"""


def shown_by_rich(data: bytes) -> str:
    """Return what a terminal was sent, without the codes of the live display itself."""
    return RICH.sub("", data.decode("utf-8", "surrogateescape"))


def test_the_live_display_shows_nothing_that_is_obeyed(
    tmp_path: Path, cli: Cli, terminal: Terminal
) -> None:
    """On a terminal only the display's own cursor codes are sent, whatever the words are."""
    (tmp_path / "strings.json").write_text(json.dumps(STRINGS))
    subprocess.run(
        [sys.executable, "-c", LIVE, str(tmp_path / "strings.json")],
        stderr=terminal.slave,
        stdout=subprocess.DEVNULL,
        env=cli.environment({"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}),
        check=True,
        timeout=60,
    )
    data = terminal.close()
    assert b"0000aaaa" in data
    shown = shown_by_rich(data).replace("\t", " ")
    found = UNSEEN.search(shown)
    assert found is None, shown[max(0, found.start() - 60) : found.end() + 60]
    colours = set(re.findall(rb"\x1b\[[0-9;]*m", data))
    assert b"\x1b[31m" not in colours, "no colour is a stranger's"


# -- through the real command ----------------------------------------------------------------------


@pytest.fixture
def parrot(serve: Callable[[Play], Host]) -> Callable[..., Host]:
    """Return what starts providers that say a hostile string in every field that we read."""

    def start(text: str, *, is_refusing: bool) -> Host:
        header = text.encode("utf-8", "replace").decode("latin-1")
        header = re.sub(r"[\x00\r\n]", "", header)[:4000]

        def said(visit: Visit) -> None:
            path = host.requests[-1].split(b" ", 2)[1]
            if is_refusing:
                body: object = {
                    "code": 402,
                    "msg": text,
                    "message": text,
                    "error": {"code": text or "x", "message": text},
                }
                status = 402
            elif b"recordInfo" in path:
                record = {"taskId": text, "state": "fail", "failMsg": text, "failCode": text}
                body, status = {"code": 200, "msg": text, "data": record}, 200
            else:
                body, status = {"code": 200, "msg": text, "data": {"taskId": text}}, 200
            raw = json.dumps(body).encode()
            visit.answer(status, raw, {"X-Request-Id": header.strip()})

        host = serve(said)
        return host

    return start


SAMPLE: Final = [STRINGS[number] for number in range(0, len(STRINGS), 43)]


@pytest.mark.parametrize("number", range(len(SAMPLE)))
def test_a_providers_words_are_harmless_everywhere(
    cli: Cli, parrot: Callable[..., Host], number: int
) -> None:
    """What a provider says is harmless in the error, in `status`, in JSON, at `-vv` and in CI."""
    text = SAMPLE[number]
    is_ci = bool(number % 2)
    env = {"CI": "1"} if is_ci else {}
    cli.configure(parrot(text, is_refusing=True).origin)
    names = ("kie", "ark", "uniall", "seedreams", "replicate", "openrouter")
    provider = names[number % len(names)]
    ran = cli("generate", "a fox", "-p", provider, "-vv", "--json", env=env)
    assert ran.code in {3, 4, 5}, ran.err
    harmless(ran.raw_err, "stderr", is_tabbed=True, is_ci=is_ci)
    harmless(ran.out, "json")
    job = str(ran.object["job"])
    for command in (("status",), ("status", job), ("status", job, "--json")):
        shown = cli(*command, "--offline", env=env)
        assert shown.code == 0
        harmless(shown.out, str(command), is_tabbed=True)
        harmless(shown.raw_err, str(command), is_tabbed=True)


def _is_argument(text: str) -> bool:
    """Tell whether an operating system hands it to a program."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return "\0" not in text


PROMPTS: Final = [text for text in STRINGS if _is_argument(text)]


@pytest.mark.parametrize("number", range(0, len(PROMPTS), 47))
def test_a_prompt_is_harmless_everywhere(
    cli: Cli, chaos: Chaos, paid: Sandbox, number: int
) -> None:
    """Whatever a prompt holds: harmless output, a harmless file name, in the folder it belongs."""
    cli.configure(chaos.origin)
    text = PROMPTS[number]
    env = {"CI": "1"}
    ran = cli("generate", "-p", "kie", "--sidecar", "-v", "--json", "--", text, env=env)
    harmless(ran.raw_err, "stderr", is_tabbed=True)
    harmless(ran.out, "json")
    charges = paid.counters["charges"]
    assert isinstance(charges, list)
    if ran.code != 0:
        assert ran.code in {2, 3}, (text, ran.err)
        assert ran.code != 2 or charges == []
    for path in cli.pictures():
        assert path.parent == cli.work
        harmless(path.name, "file name")
        assert "\n" not in path.name
        if path.suffix == ".json":
            assert UNSEEN.search(path.read_text()) is None
    for command in (("status",), ("status", "last")):
        shown = cli(*command)
        harmless(shown.out, str(command), is_tabbed=True)
    outside = [path for path in cli.home.parent.rglob("*passwd*") if path.parent != cli.work]
    assert outside == []


NAMES: Final = (
    "a\x1b[31mb.png", "a\nb.png", "a\x9b2Jb.png", "\u202egnp.exe.png", "::error::x.png",
    "a\x07.png", "-rf.png", " .png", "[bold]x[bold].png", "##[error]x.png", "\x7f.png", "a\r.png",
    "你好.png", "a\tb.png",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_is_kept_and_shown_harmless(
    cli: Cli, chaos: Chaos, terminal: Terminal, name: str
) -> None:
    """`-o` gets the very name on disk and on a pipe; stderr, `status` and a terminal are safe."""
    cli.configure(chaos.origin)
    target = f"./{name}"
    env = {"CI": "1"}
    ran = cli("generate", "a fox", "-p", "kie", "-o", target, "--any-format", "-v", env=env)
    assert ran.code == 0, ran.err
    assert [path.name for path in cli.pictures()] == [name]
    assert name.encode() in ran.out
    harmless(ran.raw_err, "stderr", is_tabbed=True)
    again = cli("generate", "a fox", "-p", "kie", "-o", target, "--any-format")
    assert again.code == 2
    harmless(again.raw_err, "exists", is_tabbed=True)
    shown = cli("status", "last")
    harmless(shown.out, "status", is_tabbed=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "seedream_cli",
            "generate",
            "a fox",
            "-o",
            target,
            "--skip-existing",
        ],
        cwd=cli.work,
        env=cli.environment({"SEEDREAM_PROFILE": "kie"}),
        stdout=terminal.slave,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    data = terminal.close().replace(b"\r\n", b"\n")
    assert UNSEEN.search(data.decode().replace("\t", " ")) is None


@pytest.mark.parametrize(
    "name", ["no\x1b[31mne\x9b2J\u202e", "\n::error::none", "##[error]\udcff\x07"]
)
def test_a_name_in_an_error_is_harmless(cli: Cli, name: str) -> None:
    """Names that do not exist, profiles and models that are unknown: harmless on stderr."""
    for line in (
        ("generate", "-f", name),
        ("generate", "a fox", "-p", name),
        ("generate", "a fox", "--sandbox", "-s", name),
        ("generate", "a fox", "--sandbox", "-a", name),
        ("generate", "a fox", "--sandbox", "--set", name),
        ("generate", "a fox", "--sandbox", "-o", f"{{{name}}}.png"),
        ("edit", "x", "--sandbox", "-i", name),
        ("status", name),
        ("download", name),
        ("status", "--since", name),
        ("status", "--state", name),
        ("providers", "show", name),
        (name,),
    ):
        ran = cli(*line, env={"CI": "1"})
        assert ran.code in {2, 3, 4, 74}, (line, ran.err)
        harmless(ran.raw_err, str(line), is_tabbed=True)
        harmless(ran.out, str(line))


def test_a_terminal_gets_rich_codes_and_nothing_else(
    cli: Cli, parrot: Callable[..., Host], terminal: Terminal
) -> None:
    """A whole command on a terminal: the provider's words come through without their codes."""
    text = "\x1b[31mred\x1b]0;owned\x07 \x9b2J\u202e [bold]loud[/bold] \x07\x08"
    cli.configure(parrot(text, is_refusing=False).origin)
    cli.work.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "seedream_cli", "generate", "a fox", "-p", "kie", "-vv"],
        cwd=cli.work,
        env=cli.environment({"TERM": "xterm-256color", "COLUMNS": "100"}),
        stdout=terminal.slave,
        stderr=terminal.slave,
        check=False,
        timeout=60,
    )
    data = terminal.close()
    shown = shown_by_rich(data)
    assert "[bold]loud[/bold]" in shown
    assert UNSEEN.search(shown.replace("\t", " ")) is None
    assert b"\x1b[31m" not in data
    assert b"owned\x07" not in data


def test_no_path_outside_the_folder_is_made(bench: Bench, chaos: Chaos) -> None:
    """520 hostile prompts as file names: each lies in the output folder, under a safe name."""
    from seedream_cli.storage.files import naming

    for text in STRINGS:
        plan = naming.plan("{slug}-{model}-{n}.{ext}", base=str(bench.folder / "out"))
        fields = naming.fields_of(
            prompt=text, job="j0000001", n=1, at=bench.clock.now(), model=text, provider="kie"
        )
        path = Path(plan.absolute(naming.expand(plan, fields=fields, ext="png")))
        assert path.parent == bench.folder / "out", text
        assert path.resolve().parent == (bench.folder / "out").resolve()
        harmless(path.name, "name", is_ci=False)
        assert "\n" not in path.name
        assert 0 < len(os.fsencode(path.name)) <= 255
    for text in ("../../../etc/passwd", "/etc/x", "..", "~/.ssh/key"):
        ended = bench.run(bench.plan("kie", chaos.origin, prompt=text))
        assert ended.job.state is State.SAVED
    assert len(bench.pictures()) == 4
    found = {path.parent for path in bench.folder.rglob("*.png")}
    found |= {path.parent for path in bench.folder.rglob("*.jpg")}
    assert found == {bench.folder / "out"}
