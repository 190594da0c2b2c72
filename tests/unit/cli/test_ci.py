"""GitHub Actions is told what became of a batch, and no row can tell it anything else."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedream_cli.cli.output.ci import (
    Actions,
    annotation,
    is_forgetful,
    outputs,
    plan_summary,
    summary,
)
from seedream_cli.cli.output.progress import Plain
from seedream_cli.core.events import RowEnded
from seedream_cli.core.model import Money, Problem, State

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = st.text(
    st.sampled_from("::error##[]%\r\n,|<>&`*_$~\\!@\x1b\x85\u2028\udcff aé光") | st.characters(),
    max_size=30,
)


def ended(
    row: str = "hero",
    state: State = State.SAVED,
    *,
    line: int = 12,
    prompt: str = "a lighthouse",
    path: str | None = None,
    problem: Problem | None = None,
) -> RowEnded:
    """Return the end of a row."""
    return RowEnded(
        row=row,
        line=line,
        state=state,
        path=path,
        prompt=prompt,
        money=Money(Decimal("0.0325"), "USD") if state is not State.REFUSED else None,
        is_estimate=False,
        seconds=12.3 if state is State.SAVED else None,
        problem=problem,
        job="01k3f9zq",
    )


REFUSED = ended(
    state=State.REFUSED, problem=Problem("content_policy", "50% of it:\nno, never", "change it")
)


WORDS = "1 made, 160 current; cost about 0.39 USD"


def table(rows: list[RowEnded], count: int = 0) -> str:
    """Return a summary of rows."""
    return summary(rows, title="assets.toml", words=WORDS, count=count)


# -- annotations -------------------------------------------------------------------------------


def test_a_failed_row_is_marked_in_its_manifest() -> None:
    """File, line, name, what happened, whether it cost anything and what to do."""
    assert annotation("assets.toml", REFUSED) == (
        "::error file=assets.toml,line=12,title=hero::"
        "hero was refused: 50%25 of it: no, never; nothing was charged%0A  change it"
    )


def test_an_unknown_outcome_is_an_error_and_a_left_row_a_warning() -> None:
    """What may have cost money is an error; what the next run will make is none yet."""
    assert annotation("a.toml", ended(state=State.UNKNOWN)).startswith("::error ")
    assert annotation("a.toml", ended(state=State.PLANNED)).startswith("::warning ")
    broken = ended(state=State.PLANNED, problem=Problem("usage", "its reference is gone"))
    assert annotation("a.toml", broken).startswith("::error ")


def test_what_is_not_known_is_left_out() -> None:
    """A manifest on stdin has no file, and a row whose line is not known has none."""
    assert annotation("", REFUSED).startswith("::error title=hero::")
    assert annotation("a.toml", ended(state=State.FAILED, line=0)).startswith(
        "::error file=a.toml,title=hero::"
    )


def test_properties_are_escaped() -> None:
    """A file or a name with the runner's own signs in it stays one property."""
    row = ended("a,b:c%", State.FAILED)
    assert annotation("x,line=1::.toml", row).startswith(
        "::error file=x%2Cline=1%3A%3A.toml,line=12,title=a%2Cb%3Ac%25::"
    )


@pytest.mark.parametrize("command", ["##[error]x", "##vso[task.complete]", "a\n::set-output::b"])
def test_old_commands_of_runners_are_defused(command: str) -> None:
    """What older runners obey anywhere in a line is no command either."""
    problem = Problem("provider_failed", command, command)
    text = annotation("a.toml", ended(f"x{command}", State.FAILED, problem=problem))
    assert not re.search(r"##\w*\[", text)
    assert "\n" not in text


@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_row_smuggles_a_second_command(name: str, message: str, file: str) -> None:
    """Whatever a row, a provider or a path says, the runner reads one command on one line."""
    problem = Problem("provider_failed", message, message)
    text = annotation(file, ended(f"x{name}", State.FAILED, problem=problem))
    assert len(text.splitlines()) == 1
    assert not re.search(r"##\w*\[", text)
    # As actions/runner reads it (ActionCommand.TryParseV2): up to the second `::`.
    head, _, _ = text[2:].partition("::")
    command, _, properties = head.partition(" ")
    assert command == "error"
    names = [each.partition("=")[0] for each in properties.split(",")]
    assert names in (["file", "line", "title"], ["title"])


# -- the summary -------------------------------------------------------------------------------


def test_a_summary_is_a_sentence_and_a_table() -> None:
    """What went wrong stands first, then what was made, then what was left."""
    rows = [
        ended("later", State.PLANNED),
        ended(path="site/hero.jpg"),
        ended("night", State.UNKNOWN, problem=Problem("outcome_unknown", "no answer came")),
    ]
    assert table(rows) == (
        "### assets.toml: 1 made, 160 current; cost about 0.39 USD\n"
        "\n"
        "| picture | prompt | price | time | state |\n"
        "| --- | --- | ---: | ---: | --- |\n"
        "| night | a lighthouse | maybe 0.0325 USD |  | **unknown: no answer came** |\n".replace(
            "unknown:", "unknown&#58;"
        )
        + "| hero | a lighthouse | 0.0325 USD | 12 s | saved site/hero.jpg |\n"
        "| later | a lighthouse | 0.0325 USD |  | left |\n"
    )


def test_a_batch_with_nothing_to_do_has_no_table() -> None:
    """When everything is current the sentence says so and that is all."""
    assert table([]) == f"### assets.toml: {WORDS}\n"


def test_nothing_of_a_row_is_markdown_or_html() -> None:
    """Tags, links, pictures, code, mentions and cell borders of a prompt are shown as they are."""
    prompt = "<img src=x> | [a](https://e.example) ![b](c) `x` **y** @team #1 $z$ &lt; \\"
    row = table([ended(prompt=prompt)]).splitlines()[-1]
    cell = row.split(" | ")[1]
    assert not set("<>|[]`*@$!\\") & set(cell)
    assert "https:" not in cell
    assert re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), cell) == prompt


@given(HOSTILE, HOSTILE)
def test_a_row_is_one_line_of_five_cells(prompt: str, message: str) -> None:
    """No text breaks the table."""
    row = ended(
        f"x{prompt}", State.FAILED, prompt=prompt, problem=Problem("provider_failed", message)
    )
    lines = table([row]).split("\n")
    assert len(lines) == 6
    assert len(lines[4].splitlines()) == 1
    assert lines[4].count("|") == 6
    assert "<" not in lines[4]


def test_long_prompts_are_cut() -> None:
    """A prompt of a page does not make a table unreadable."""
    row = table([ended(prompt="word " * 500)]).splitlines()[-1]
    assert len(row) < 250
    assert "…" in row


def test_a_summary_has_at_most_500_rows_and_counts_the_rest() -> None:
    """Ten thousand rows make a page that can be read; the failed ones are on it."""
    rows = [ended(f"r{n}") for n in range(600)] + [REFUSED]
    text = table(rows, count=10_000)
    assert text.count("\n| ") == 502
    assert text.splitlines()[4].startswith("| hero |")
    assert text.endswith("\n\n… and 9500 more\n")


def test_a_summary_stays_under_the_limit_of_bytes() -> None:
    """GitHub shows nothing of a summary that is too large, so rows are left out in time."""
    rows = [ended(f"r{n}", prompt="`" * 120) for n in range(500)]
    text = summary(rows, title="t", words="500 made", most_bytes=50_000)
    assert 48_000 < len(text.encode()) <= 50_000
    shown = text.count("\n| r")
    assert text.endswith(f"… and {500 - shown} more\n")
    none = summary(rows, title="t", words="500 made", most_bytes=-1)
    assert none == "### t: 500 made\n\n… and 500 more\n"


def test_a_plan_is_a_table_of_acts() -> None:
    """What is to be done about each picture, why, and what it costs; nothing of it is Markdown."""
    rows = [("hero", "make", "its | changed", "0.12 CNY"), ("sea", "fetch", "it is paid for", "")]
    assert plan_summary(rows, title="t", words="1 to make, 1 to fetch, 0 current") == (
        "### t: 1 to make, 1 to fetch, 0 current\n"
        "\n"
        "| picture | act | why | price |\n"
        "| --- | --- | --- | ---: |\n"
        "| hero | make | its &#124; changed | 0.12 CNY |\n"
        "| sea | fetch | it is paid for |  |\n"
    )


def test_a_plan_sets_outputs(tmp_path: Path) -> None:
    """A later step reads how many would be made and for how much, zero too."""
    actions = Actions(github(tmp_path))
    for to_make, cost in ((2, "0.24 CNY"), (0, ""), (1, "")):
        actions.write_plan(
            title="a.toml", words="…", rows=[], to_make=to_make, cost=cost, show=Plain()
        )
    assert (tmp_path / "output").read_text() == (
        "to_make=2\ncost=0.24 CNY\nto_make=0\ncost=0\nto_make=1\ncost=not known\n"
    )


# -- outputs, and where it all goes --------------------------------------------------------------


def test_outputs_are_one_line_each() -> None:
    """A later step reads how many and how much; no value brings a line of its own."""
    text = outputs({"made": 12, "cost": "0.39 USD and 1.20 CNY\nPATH=/evil"})
    assert text == "made=12\ncost=0.39 USD and 1.20 CNY PATH=/evil\n"


def github(tmp_path: Path) -> dict[str, str]:
    """Return what a runner sets."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }


def write(actions: Actions) -> None:
    """Write what stands for one picture made and one refused."""
    counts = {"made": 1, "current": 0, "failed": 1}
    words = "1 made, 0 current, 1 failed; cost about 0.0325 USD"
    actions.write(outputs=counts, cost="0.0325 USD", title="a.toml", words=words, show=Plain())


def test_the_runner_s_files_are_appended_to(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Summary and outputs come after what other commands of the step have written."""
    (tmp_path / "summary.md").write_text("# before\n")
    (tmp_path / "output").write_text("before=1\n")
    actions = Actions(github(tmp_path))
    actions.note(ended(prompt="光 \udcff"))
    actions.note(REFUSED)
    write(actions)
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert text.startswith(
        "# before\n### a.toml: 1 made, 0 current, 1 failed; cost about 0.0325 USD\n"
    )
    assert text.index("| hero | a lighthouse |") < text.index("光")
    assert (tmp_path / "output").read_text() == (
        "before=1\nmade=1\ncurrent=0\nfailed=1\ncost=0.0325 USD\n"
    )
    assert capfd.readouterr().err == ""


def test_a_step_s_summaries_share_their_limit(tmp_path: Path) -> None:
    """A summary that is nearly full gets the sentence and a number, not one byte too many rows."""
    (tmp_path / "summary.md").write_text("x" * 900 * 1024)
    actions = Actions(github(tmp_path))
    actions.note(ended())
    write(actions)
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").endswith("… and 1 more\n\n")


def test_what_cannot_be_written_is_said_and_stops_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A summary in a folder that is gone is one line; the outputs are written all the same."""
    environ = github(tmp_path) | {"GITHUB_STEP_SUMMARY": str(tmp_path / "gone" / "summary.md")}
    write(Actions(environ))
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "summary.md could not be written" in err
    assert (tmp_path / "output").exists()


def test_elsewhere_nothing_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where the runner is not GitHub's, nothing is written whatever else is set."""
    actions = Actions(github(tmp_path) | {"GITHUB_ACTIONS": ""})
    assert not actions.is_on
    actions.note(REFUSED)
    actions.annotate("a.toml")
    write(actions)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""
    assert actions.rows == []


def test_annotations_reach_the_runner_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Errors first, ten of each kind, paths as the runner knows them."""
    (tmp_path / "repo" / "art").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "repo")
    monkeypatch.chdir(tmp_path / "repo" / "art")
    actions = Actions(github(tmp_path) | {"GITHUB_WORKSPACE": str(link)})
    for n in range(12):
        actions.note(ended(f"left-{n}", State.PLANNED))
        actions.note(ended(f"bad-{n}", State.FAILED))
        actions.note(ended(f"good-{n}"))
    actions.annotate("a.toml")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 20
    assert lines[0].startswith("::error file=art/a.toml,line=12,title=bad-0::bad-0 failed")
    assert lines[10].startswith("::warning file=art/a.toml,line=12,title=left-0::")
    outside = tmp_path / "outside.toml"
    actions.annotate(str(outside))
    assert f"file={outside}," in capfd.readouterr().err


def test_memory_stays_flat_over_many_rows(tmp_path: Path) -> None:
    """Of ten thousand rows those that can be shown are kept, failures before all others."""
    actions = Actions(github(tmp_path))
    for n in range(3000):
        actions.note(ended(f"good-{n}"))
        actions.note(ended(f"left-{n}", State.PLANNED))
        actions.note(ended(f"bad-{n}", State.FAILED))
    assert len(actions.rows) == 1500
    assert {row.state for row in actions.rows[:500]} == {State.FAILED}


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, None),
        ({"CI": "false"}, None),
        ({"CI": ""}, None),
        ({"CI": "true"}, "this CI"),
        ({"CI": "1"}, "this CI"),
        ({"CI": "true", "GITLAB_CI": "true"}, "GitLab CI"),
        ({"CI": "true", "GITHUB_ACTIONS": "true"}, "GitHub Actions"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "a Kubernetes pod"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "GITHUB_ACTIONS": "true"}, "GitHub Actions"),
    ],
)
def test_a_machine_that_forgets_is_named(environ: dict[str, str], name: str | None) -> None:
    """Runners and pods are told from machines that keep their files."""
    assert is_forgetful(environ) == name


def test_a_check_marks_the_rows_that_are_not_as_described(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A red check shows in the diff of the manifest, and no reason commands the runner."""
    actions = Actions({"GITHUB_ACTIONS": "true"})
    found = [("hero", 12, "new\n::stop-commands::x"), *(("p", n, "new") for n in range(50))]
    actions.mark_stale("art.toml", found)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("::error file=art.toml,line=12,title=hero::hero is not as described")
    assert not any(line.startswith("::stop-commands") for line in lines)
    assert len(lines) == 10
    Actions({}).mark_stale("art.toml", found)
    assert capfd.readouterr().err == ""


def test_a_manifest_s_mistakes_are_marked_on_their_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each mistake shows in the diff, ten at most; a name with signs of its own is only a name."""
    monkeypatch.chdir(tmp_path)
    actions = Actions(github(tmp_path))
    told = [f"a+.toml:{n}: 50% is no size" for n in range(3, 20)]
    actions.refuse("a+.toml", "\n".join(["a+.toml: no line", "aa.toml:1: another's", *told]))
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "::error file=a+.toml,line=3::50%25 is no size"
    assert len(lines) == 10


@pytest.mark.parametrize(
    ("file", "message", "told"),
    [
        ("a.toml", "there is no file a.toml", "::error file=a.toml::there is no file a.toml"),
        ("a.toml", "a.toml: nothing\nto do", "::error file=a.toml::a.toml: nothing%0Ato do"),
        ("-", "stdin:4: is no JSON", "::error::is no JSON"),
        ("-", "prompt is missing", "::error::prompt is missing"),
        ("a.toml", "a.toml:1: x\n::warning::y", "::error file=a.toml,line=1::x"),
    ],
)
def test_an_error_without_a_line_marks_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], file: str, message: str, told: str
) -> None:
    """One command says it; stdin has neither file nor line, and no message brings a command."""
    Actions(github(tmp_path) | {"GITHUB_WORKSPACE": ""}).refuse(file, message)
    assert capfd.readouterr().err == f"{told}\n"


def test_elsewhere_no_error_is_marked(capfd: pytest.CaptureFixture[str]) -> None:
    """Where the runner is not GitHub's an error is told as ever and no other way."""
    Actions({}).refuse("a.toml", "a.toml:1: x")
    assert capfd.readouterr().err == ""
