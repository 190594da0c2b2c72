"""The page of pictures: one file, prompts are text, no file that is not ours is replaced."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import random
import re
import shlex
import signal
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from support import browser as browsers
from support.clock import eventually
from support.command import Cli
from support.server import serving

from seedream_cli.cli.output.gallery import Card, Shot, page

if TYPE_CHECKING:
    from support.server import Server

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PIECES = (
    *("<", ">", "&", "'", '"', "`", "$title", "${x}", "$$", "\0", "\x1b[31m", "\u202e", "\n"),
    *("</p>", "</pre>", "</style>", "</script>", "<script>", "<img src=x onerror=alert(1)>"),
    *("<!--", "-->", "]]>", "&lt;", "&#60;", "javascript:alert(1)", "\udcff", "é", "狐", "fox "),
    *("%3C", "{{", "\\", "</li>", "<dialog open>"),
)
_COPY = """new Promise((done) => {
    const details = document.querySelector("li:not([hidden]) details");
    details.open = true;
    Object.defineProperty(navigator, "clipboard", {configurable: true, value: {
        writeText: (text) => { done(text); return Promise.resolve(); }}});
    details.querySelector("button").click();
})"""
_COPY_BY_HAND = """new Promise((done) => {
    const button = document.querySelector("li:not([hidden]) details button");
    Object.defineProperty(navigator, "clipboard", {configurable: true, value: undefined});
    document.execCommand = () => false;
    button.click();
    setTimeout(() => done([button.textContent, String(getSelection())]), 300);
})"""
"""Over plain HTTP from another machine there is no clipboard, and a browser may refuse the rest."""
_SHIFT = """new Promise((done) => {
    let sum = 0;
    new PerformanceObserver((list) => { for (const each of list.getEntries()) sum += each.value; })
        .observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(sum), 500);
})"""
PROMPT = "a fox </script><script>alert(1)</script> & “more”"


class Reader(HTMLParser):
    """Reads a page as a browser does: which elements there are, with which attributes."""

    def __init__(self) -> None:
        """Read nothing yet."""
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.prompts: list[str] = []
        self._is_prompt = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element in."""
        self.tags.append((tag, dict(attrs)))
        self._is_prompt = dict(attrs).get("class") == "prompt"
        if self._is_prompt:
            self.prompts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave it."""
        self._is_prompt = self._is_prompt and tag != "p"

    def handle_data(self, data: str) -> None:
        """Take text in."""
        if self._is_prompt:
            self.prompts[-1] += data


def read(text: str) -> Reader:
    """Return a page as a browser reads it."""
    reader = Reader()
    reader.feed(text)
    return reader


def card(prompt: str, path: str = "/g/a.png") -> Card:
    """Return a card with one picture."""
    return Card(
        anchor="j.1",
        name=prompt,
        prompt=prompt,
        hint=prompt,
        state="saved",
        shots=(Shot(path=path),),
        why=prompt,
        sources=((prompt, "j.2"),),
        facts=(prompt,),
        command=prompt,
    )


def test_hostile_prompts_are_text() -> None:
    """No prompt adds an element, an attribute or a script to the page, and each is readable."""
    plain = read(page([card("fox")], title="t", note="n", folder=Path("/g")))
    dice = random.Random(1)
    for prompt in ["".join(dice.choices(PIECES, k=dice.randrange(1, 9))) for _ in range(500)]:
        found = read(page([card(prompt)], title=prompt, note=prompt, folder=Path("/g")))
        assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags], prompt
        assert [set(a) for _, a in found.tags] == [set(a) for _, a in plain.tags], prompt
    assert read(page([card(PROMPT)], title="", note="", folder=Path("/g"))).prompts == [PROMPT]


def test_the_policy_lets_in_the_pages_own_script_and_style_alone() -> None:
    """The hashes of the page's policy are those of what stands in it."""
    text = page([], title="t", note="n", folder=Path("/g"))
    for tag in ("script", "style"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in text
    assert "default-src 'none'; img-src 'self' file:" in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_pictures_are_named_from_the_pages_own_folder() -> None:
    """Below the folder relative and percent-encoded, elsewhere a link, in a published page none."""
    odd = "/g/art/50% é #1?.png"
    text = page([card("x", odd), card("y", "/far/b.png")], title="", note="", folder=Path("/g"))
    assert 'src="./art/50%25%20%C3%A9%20%231%3F.png"' in text
    assert 'href="file:///far/b.png"' in text
    public = page([card("y", "/far/b.png")], title="", note="", folder=Path("/g"), is_portable=True)
    assert "/far/" not in public
    raw = "/g/\udcff.png"
    assert "%FF.png" in page([card("z", raw)], title="", note="", folder=Path("/g"))


def test_status_writes_the_page_of_what_matches(cli: Cli, server: Server) -> None:
    """`status --gallery` shows every job that matches, with what it was made from."""
    cli.configure(server)
    assert cli("generate", PROMPT, "-p", "ark", "-n", "2", "-o", "art/{n}").code == 0
    assert cli("edit", "at night", "-i", "job:last.1", "-p", "ark", "-o", "night").code == 0
    ran = cli("status", "--gallery", "page.html")
    assert (ran.code, ran.out) == (0, b""), ran.err
    assert "3 pictures of 3 jobs" in ran.err
    found = read((cli.work / "page.html").read_text())
    assert sorted(found.prompts) == sorted([PROMPT, PROMPT, "at night"])
    pictures = [attrs["src"] for tag, attrs in found.tags if tag == "img" and "src" in attrs]
    assert sorted(map(str, pictures)) == ["./art/1.jpg", "./art/2.jpg", "./night.jpg"]
    anchors = {attrs["id"] for _, attrs in found.tags if "id" in attrs}
    links = [str(a["href"])[1:] for _, a in found.tags if str(a.get("href")).startswith("#")]
    assert links
    assert set(links) <= anchors
    again = cli("status", "--grep", "night", "--gallery", "page.html", "--json")
    assert [each["prompt"] for each in again.objects] == ["at night"]
    assert read((cli.work / "page.html").read_text()).prompts == ["at night"]


def test_a_file_that_is_no_page_of_ours_is_left_alone(cli: Cli) -> None:
    """`--gallery notes.html` replaces no page that somebody wrote, and asks nobody before."""
    cli.work.mkdir(parents=True, exist_ok=True)
    mine = cli.work / "notes.html"
    mine.write_text("<html>mine")
    ran = cli("status", "--gallery", "notes.html")
    assert ran.code == 2
    assert "left alone" in ran.err
    assert mine.read_text() == "<html>mine"
    assert cli("status", "--gallery", str(cli.work)).code == 2
    assert "--gallery notes.html" in cli("status", "--gallery", "notes").err
    assert cli("status", "--gallery", "new/page.html").code == 0
    assert (cli.work / "new/page.html").is_file()


def test_the_command_of_a_card_buys_the_same(cli: Cli, server: Server) -> None:
    """What the page says to copy makes the same request, where it was a rehearsal as one."""
    cli.configure(server)
    line = ("generate", "it's a fox", "-a", "16:9", "--seed", "7", "-p", "kie", "-m")
    model = "bytedance/seedream-v4-text-to-image"
    ran = cli(*line, model, "--set", 'tags=["a b"]', "--sandbox", "-o", "fox.png")
    assert ran.code == 0, ran.err
    cli("status", "--gallery", "page.html")
    text = (cli.work / "page.html").read_text()
    (found,) = re.findall("<pre>(.*?)</pre>", text, re.DOTALL)
    words = shlex.split(html.unescape(found))
    assert words[0] == "seedream"
    assert "--sandbox" in words
    first = cli(*line, model, "--set", 'tags=["a b"]', "--sandbox", "--dry-run", "--json").object
    assert cli(*words[1:], "--dry-run", "--json").object["body"] == first["body"]


def _check_quiet(browser: browsers.Browser) -> None:
    """Nothing stands in the console, and nothing but pictures was asked for."""
    assert browser.complaints() == []
    asked = {url for url in browser.requested() if not url.endswith(".jpg")}
    assert asked == {browser.eval("location.href")}


def _served(stack: ExitStack, folder: Path) -> str:
    """Serve a folder over HTTP on this machine and return where."""
    answering = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), answering))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}"


def test_a_manifest_is_shown_as_it_is_and_as_it_would_be(cli: Cli, server: Server) -> None:
    """Current, to make with why and price, old beside new; exit codes are those of the mode."""
    cli.configure(server)
    cli.work.mkdir(parents=True, exist_ok=True)
    manifest = cli.work / "art.toml"
    manifest.write_text(
        '[images.sea]\nprompt = "a sea <b>"\n[images.night]\nprompt = "night"\n'
        'references = ["images.sea"]\n'
    )
    batch = ("generate", "--batch", "art.toml", "-p", "ark", "--gallery", "page.html")
    page_ = cli.work / "page.html"
    assert cli(*batch, "--plan").code == 0
    assert "to be made" in page_.read_text()
    assert "about 0.12 CNY" in page_.read_text()
    assert cli(*batch).code == 0
    found = read(page_.read_text())
    assert found.prompts == ["a sea <b>", "night"]
    pictures = [attrs["src"] for tag, attrs in found.tags if tag == "img" and "src" in attrs]
    assert pictures == ["./sea.jpg", "./night.jpg"]
    assert '<a href="#sea">sea</a>' in page_.read_text()
    assert str(cli.home) not in page_.read_text()
    manifest.write_text(manifest.read_text().replace("a sea", "a lake"))
    assert cli(*batch, "--check").code == 1
    text = page_.read_text()
    assert "its description changed" in text
    assert "<figcaption>old</figcaption>" in text
    assert len(server.charges()) == 2
    assert cli("generate", "x", "-p", "ark", "--gallery", "page.html").code == 2


ROWS = """[defaults]
model = "doubao-seedream-4-0-20260415"
size = "1K"
[images.ant]
prompt = "an ant"
[images.bee]
prompt = "a bee"
[images.cat]
prompt = "a cat"
[images.dog]
prompt = "a dog"
references = ["images.bee"]
"""


def _cards(page_: Path) -> dict[str, str]:
    """Return what a page's cards say, tags and all, by their names."""
    return dict(re.findall(r'<li id="([^"]*)"(.*?)</li>', page_.read_text(), re.DOTALL))


@pytest.fixture
def manifest(cli: Cli, server: Server) -> Path:
    """Return a manifest of four rows, one of them made from another."""
    cli.configure(server)
    cli.work.mkdir(parents=True, exist_ok=True)
    file = cli.work / "art.toml"
    file.write_text(ROWS)
    return file


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_a_runs_page_says_how_each_row_ended(
    cli: Cli, server: Server, manifest: Path, jobs: str
) -> None:
    """Refused, unknown, not made for want of a source: with why, charge and what to type."""
    batch = ("generate", "--batch", manifest.name, "-p", "ark", "--gallery", "page.html")
    server.change_weather("refuse:1", "drop:1")
    ran = cli(*batch, "-j", jobs)
    assert ran.code == 5, ran.err
    cards = _cards(cli.work / "page.html")
    states = {name: re.findall('class="state">(.*?)<', text)[0] for name, text in cards.items()}
    if jobs == "1":
        assert states == {"ant": "refused", "bee": "unknown", "cat": "made", "dog": "left"}
    assert sorted(states.values())[-2:] == ["refused", "unknown"]
    refused = next(cards[name] for name, state in states.items() if state == "refused")
    assert "nothing was charged" in refused
    assert "change its row" in refused
    unknown = next(cards[name] for name, state in states.items() if state == "unknown")
    assert "may have been charged" in unknown
    assert "perhaps 0.20 CNY" in unknown
    (command,) = re.findall("<span>(seedream status .*? --not-charged)</span>", unknown)
    assert "0.20 CNY may have been charged" in (cli.work / "page.html").read_text()
    assert cli(*command.split()[1:]).code == 0


def test_a_runs_page_says_what_a_bound_left(cli: Cli, manifest: Path) -> None:
    """What the budget leaves out is there with its price and why, beside what was made."""
    batch = ("generate", "--batch", manifest.name, "-p", "ark", "--gallery", "page.html")
    assert cli(*batch, "--max-images", "1").code == 3
    cards = _cards(cli.work / "page.html")
    assert 'class="state">made<' in cards["ant"]
    for name in ("bee", "cat", "dog"):
        assert 'class="state">left<' in cards[name]
        assert "beyond --max-images" in cards[name]
        assert "would cost about 0.20 CNY" in cards[name]


def test_a_runs_page_says_why_it_stopped(cli: Cli, server: Server, manifest: Path) -> None:
    """What a stop left says so; a picture in the way is shown, with what keeps it."""
    batch = ("generate", "--batch", manifest.name, "-p", "ark", "--gallery", "page.html")
    server.change_weather("refuse:1")
    assert cli(*batch, "--fail-fast", "-j", "1").code == 3
    cards = _cards(cli.work / "page.html")
    assert "a row failed (--fail-fast)" in cards["cat"]
    (cli.work / "cat.jpg").write_bytes(b"mine")
    assert cli(*batch).code == 2
    cards = _cards(cli.work / "page.html")
    assert 'class="state">conflict<' in cards["cat"]
    assert f"seedream generate -p ark --batch {manifest.name} --accept cat" in cards["cat"]


def test_a_set_that_is_not_whole_says_which_pictures_it_lacks(cli: Cli, server: Server) -> None:
    """Those that were made share what it cost; the other one has the reason, on both pages."""
    cli.configure(server)
    cli.work.mkdir(parents=True)
    (cli.work / "art.toml").write_text(
        '[images.icons]\nprompt = "4 icons"\nseries = 4\nmodel = "doubao-seedream-4-0-20260415"\n'
    )
    server.change_weather("partial:1")
    batch = ("generate", "--batch", "art.toml", "-p", "ark", "--gallery", "page.html")
    assert cli(*batch).code == 3
    assert cli("status", "--gallery", "jobs.html").code == 0
    for name in ("page.html", "jobs.html"):
        cards = list(_cards(cli.work / name).values())
        lacking = [text for text in cards if 'class="state">not made<' in text]
        assert len(lacking) == 1
        assert "may contain sensitive information" in lacking[0]
        assert "CNY" not in lacking[0]
        assert [("0.20 CNY" in text, "sensitive" in text) for text in cards].count(
            (True, False)
        ) == 3


def test_what_was_never_sent_or_is_lost_says_what_another_run_costs(
    cli: Cli, server: Server, manifest: Path
) -> None:
    """Beyond an account's budget nothing was sent; a picture that is gone costs once more."""
    batch = ("generate", "--batch", manifest.name, "-p", "ark", "--gallery", "page.html")
    server.change_weather("expire:1")
    config = cli.home / "config.toml"
    config.write_text(
        config.read_text().replace("[profiles.ark]", '[profiles.ark]\nbudget = "0.3 CNY/day"')
    )
    assert cli(*batch, "-j", "1").code == 5
    cards = _cards(cli.work / "page.html")
    assert 'class="state">expired<' in cards["ant"]
    assert "made anew, which costs again" in cards["ant"]
    assert 'class="state">not sent<' in cards["bee"]
    assert "run the same again: nothing was bought" in cards["bee"]


def test_what_cannot_be_shown_is_said(cli: Cli, server: Server) -> None:
    """`--open` with `-o -`, or before anything is there, is a note and no silence."""
    cli.configure(server)
    said = "no file was saved that --open or --preview could show"
    assert said in cli("generate", "a fox", "-p", "ark", "-o", "-", "--open").err
    assert said in cli("generate", "a fox", "-p", "kie", "--no-wait", "--open").err


def test_a_run_that_is_stopped_leaves_its_page(cli: Cli, server: Server, manifest: Path) -> None:
    """Ctrl-C: what was made, what is under way and what was not begun are told apart."""
    server.change_weather("slow")
    manifest.write_text(ROWS.replace('references = ["images.bee"]', ""))
    running = cli.start(
        *("generate", "--batch", manifest.name, "-p", "ark", "-j", "1", "--gallery", "page.html")
    )
    eventually(lambda: len(server.submits()) == 1)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert running.returncode == 130
    cards = _cards(cli.work / "page.html")
    assert list(cards) == ["ant", "bee", "cat", "dog"]
    assert "an ant" in cards["ant"]
    assert 'class="state">left<' not in cards["ant"]
    assert 'class="state">left<' in cards["dog"]


def test_old_and_new_are_shown_where_both_lie_there(cli: Cli, manifest: Path) -> None:
    """A picture made anew under another name stands beside its old one; else its end is said."""
    batch = ("generate", "--batch", manifest.name, "-p", "ark", "--gallery", "page.html")
    assert cli(*batch).code == 0
    changed = ROWS.replace('"a cat"', '"a cat, asleep"\noutput = "cat-2.jpg"')
    manifest.write_text(changed.replace('"an ant"', '"an ant, awake"'))
    assert cli(*batch).code == 0
    cards = _cards(cli.work / "page.html")
    assert re.findall('src="(.*?)"', cards["cat"]) == ["./cat.jpg", "./cat-2.jpg"]
    assert re.findall("<figcaption>(.*?)<", cards["cat"]) == ["old", "new"]
    assert re.findall('src="(.*?)"', cards["ant"]) == ["./ant.jpg"]
    assert "its description changed; the one of 2026" in cards["ant"]
    assert "was replaced" in cards["ant"]


def test_a_check_writes_its_page_without_state(cli: Cli, manifest: Path) -> None:
    """No ledger, no lock, no folder of state: it may be one that nobody can make."""
    state = "/dev/null/state"
    check = ("generate", "--batch", manifest.name, "-p", "ark", "--check")
    ran = cli(*check, "--gallery", "new/page.html", env={"SEEDREAM_STATE_DIR": state})
    assert ran.code == 1, ran.err
    assert list(_cards(cli.work / "new/page.html")) == ["ant", "bee", "cat", "dog"]
    assert not cli.state.exists()
    assert [each.name for each in (cli.work / "new").iterdir()] == ["page.html"]


def test_a_manifests_page_names_no_place_of_this_machine(cli: Cli, manifest: Path) -> None:
    """Neither in its title nor in what went wrong; addresses stay."""
    batch = ("generate", "--batch", str(manifest), "-p", "ark", "--gallery", "page.html")
    assert cli(*batch, "--check").code == 1
    assert str(cli.home) not in (cli.work / "page.html").read_text()
    why = "/home/me/art/a.jpg could not be written: look at https://example.com/a/b, ./c/d and 1/2"
    lost = Card(anchor="a", prompt="", state="failed", why=why, hint="look into /home/me/art/x")
    text = page([lost], title="", note="", folder=Path("/g"), is_portable=True)
    assert "…/a.jpg could not be written: look at https://example.com/a/b, ./c/d and 1/2" in text
    assert "look into …/x" in text
    assert "/home/me/art/a.jpg" in page([lost], title="", note="", folder=Path("/g"))


def test_a_page_that_cannot_be_written_loses_no_picture(cli: Cli, manifest: Path) -> None:
    """Where its name is taken meanwhile the run ends as it does, with 74, and all is told."""
    manifest.write_text('[images.ant]\nprompt = "an ant"\noutput = "p.html/ant.jpg"\n')
    ran = cli("generate", "--batch", manifest.name, "-p", "ark", "--gallery", "p.html")
    assert (ran.code, ran.lines) == (74, ["p.html/ant.jpg"])
    assert "--gallery: p.html is a folder" in ran.err


def test_no_page_is_written_where_none_belongs(cli: Cli) -> None:
    """Not over devices, pipes, folders, empty files or what no browser takes for a page."""
    cli.work.mkdir(parents=True, exist_ok=True)
    os.mkfifo(cli.work / "pipe.html")
    (cli.work / "folder.html").mkdir()
    (cli.work / "empty.html").touch()
    (cli.work / "null.html").symlink_to("/dev/null")
    (cli.work / "ring.html").symlink_to("ring.html")
    (cli.work / "notes").write_text("mine")
    places = ("pipe.html", "folder.html", "empty.html", "null.html", "ring.html", "page", "-")
    for place in (*places, "notes/page.html", f"{'x' * 300}.html"):
        ran = cli("status", "--gallery", place)
        assert ran.code == 2, (place, ran.err)
    assert (cli.work / "empty.html").read_bytes() == b""
    assert not (cli.work / "page").exists()


def test_an_older_page_is_replaced_and_a_link_stays_one(cli: Cli, server: Server) -> None:
    """The mark alone tells a page of ours; it lies where a link leads, pictures told from there."""
    cli.configure(server)
    assert cli("generate", "a fox", "-p", "ark", "-o", "art/fox.jpg").code == 0
    old = cli.work / "art/old.html"
    old.write_text('<!DOCTYPE html>\n<meta name="generator" content="seedream gallery">')
    (cli.work / "-link.html").symlink_to("art/old.html")
    assert cli("status", "--gallery=-link.html").code == 0
    assert (cli.work / "-link.html").is_symlink()
    assert 'src="./fox.jpg"' in old.read_text()
    assert sorted(each.name for each in (cli.work / "art").iterdir()) == ["fox.jpg", "old.html"]


def test_a_card_says_what_became_of_its_picture(cli: Cli, server: Server) -> None:
    """Gone from the disk, not fetched by Git LFS, a share of a set's price, what goes on."""
    cli.configure(server)
    model = ("-p", "ark", "-m", "doubao-seedream-4-0-20260415")
    assert cli("generate", "two icons", *model, "--series", "2", "-o", "icon-{n}.jpg").code == 0
    assert cli("generate", "later", "-p", "kie", "--no-wait").code == 0
    (cli.work / "icon-1.jpg").unlink()
    os.mkfifo(cli.work / "icon-1.jpg")  # which nobody may wait for
    (cli.work / "icon-2.jpg").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert cli("status", "--offline", "--gallery", "page.html").code == 0
    cards = list(_cards(cli.work / "page.html").values())
    assert "being made" in cards[0]
    assert "seedream download " in cards[0]
    assert "not on disk any more" in cards[1]
    assert "Git LFS has not fetched it" in cards[2]
    for number in (1, 2):
        assert f"{number} of 2" in cards[number]
        assert "about 0.20 CNY of 0.40 CNY" in cards[number]
    eventually(lambda: cli("status", "--json").objects[0]["state"] == "ready")
    assert cli("status", "--state", "ready", "--gallery", "page.html").code == 0
    (card_,) = _cards(cli.work / "page.html").values()
    assert "not on disk, lapses in " in card_


def test_a_picture_without_a_prompt_has_words_too() -> None:
    """One of a task that was made elsewhere is called by its name."""
    shots = (Shot(path="/g/a.png"),)
    bare = Card(anchor="a", name="01k3f9zq", prompt="", state="saved", shots=shots)
    text = page([bare], title="", note="", folder=Path("/g"))
    assert 'alt="01k3f9zq"' in text


def test_links_lead_to_cards_of_the_page_alone() -> None:
    """However odd a name is: an id that HTML takes, a link that finds it, none that leads away."""
    odd = 'a "b"\n%20<é>\udcff \ud800'
    both = (Card(anchor=odd, prompt="x", state="s"), Card(anchor="b", prompt="y", state="s",
            sources=(("from odd", odd), ("gone", "nowhere"))))  # fmt: skip
    found = read(page(both, title="", note="", folder=Path("/g")))
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    links = [str(attrs["href"]) for tag, attrs in found.tags if tag == "a"]
    assert [unquote(link[1:]) for link in links] == ids[:1]
    assert re.fullmatch(r"[\w.%~-]+", str(ids[0]), re.ASCII)


def test_pictures_are_opened_by_the_systems_viewer(
    cli: Cli, server: Server, tmp_path: Path
) -> None:
    """`--open` hands each saved picture to the viewer, and changes nothing else."""
    cli.configure(server)
    viewer, opened = tmp_path / "xdg-open", tmp_path / "opened"
    for name in ("xdg-open", "open"):
        viewer = tmp_path / name
        viewer.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
        viewer.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = cli("generate", "a fox", "-p", "ark", "-o", "fox.jpg", "--open", env=env, process=True)
    assert (ran.code, ran.lines) == (0, ["fox.jpg"]), ran.err
    eventually(lambda: opened.exists() and opened.read_text() == f"{cli.work / 'fox.jpg'}\n")
    assert cli("status", "--gallery=-page.html", "--open", env=env, process=True).code == 0
    eventually(lambda: opened.read_text().endswith("work/-page.html\n"))
    none = cli("status", "last", "--open", env={"PATH": str(tmp_path / "none")}, process=True)
    assert none.code == 0
    assert "--open: there is no" in none.err
    viewer.write_text("#!/bin/sh\nexit 3\n")  # as xdg-open ends where there is no screen
    (tmp_path / "xdg-open").write_text("#!/bin/sh\nexit 3\n")
    blind = cli("status", "last", "--open", env=env, process=True)
    assert blind.code == 0
    assert f"could not open it here; it lies at {cli.work / 'fox.jpg'}" in blind.err


def test_a_batch_opens_its_page(cli: Cli, manifest: Path, tmp_path: Path) -> None:
    """`--open` beside `--gallery` hands the page to the viewer; without it there is none."""
    opened = tmp_path / "opened"
    for name in ("xdg-open", "open"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    batch = ("generate", "--batch", manifest.name, "-p", "ark", "--open")
    assert cli(*batch, "--plan", "--gallery", "p.html", env=env, process=True).code == 0
    eventually(lambda: opened.exists() and opened.read_text().endswith("work/p.html\n"))
    assert cli(*batch, "--plan").code == 2


@pytest.mark.soak
@pytest.mark.skipif(browsers.PROGRAM is None, reason="needs a Chromium: none is on PATH")
def test_the_page_in_a_real_browser(tmp_path: Path) -> None:
    """Filter, large view, keys and copying work from a file and over HTTP; the console is empty."""
    with ExitStack() as stack:
        server = stack.enter_context(serving())
        browser = stack.enter_context(browsers.browsing(tmp_path / "profile"))
        cli = Cli(tmp_path / "home")
        cli.configure(server)
        for word in ("ant", "bee", "cat", "dog", "elk", "fly"):
            assert cli("generate", f"{PROMPT} {word}", "-p", "ark", "-o", word).code == 0
        assert cli("status", "--gallery", "page.html").code == 0
        browser.open((cli.work / "page.html").as_uri())
        assert browser.eval("document.querySelectorAll('a.shot img').length") == 6
        # Tab reaches a picture, Enter opens it large, arrows go on, Escape gives the focus back.
        for _ in range(20):
            browser.press("Tab", 9)
            if browser.eval("document.activeElement.className") == "shot":
                break
        browser.press("Enter", 13, "\r")
        assert browser.eval("document.querySelector('dialog').open") is True
        first = browser.eval("document.querySelector('dialog img').src")
        browser.press("ArrowRight", 39)
        assert browser.eval("document.querySelector('dialog img').src") != first
        browser.press("ArrowLeft", 37)
        assert browser.eval("document.querySelector('dialog img').src") == first
        browser.press("ArrowLeft", 37)  # the first one: it stays
        assert browser.eval("document.querySelector('dialog img').src") == first
        browser.press("Escape", 27)
        assert browser.eval("document.querySelector('dialog').open") is False
        assert browser.eval("document.activeElement.className") == "shot"
        browser.press("/", 191, "/")
        browser.type("cat wolf")
        assert browser.eval("document.querySelectorAll('li:not([hidden])').length") == 0
        browser.eval("document.querySelector('input').value = ''")
        browser.type("CAT fox")
        assert browser.eval("document.querySelectorAll('li:not([hidden])').length") == 1
        assert browser.eval("document.querySelector('output').value") == "1 of 6 shown"
        line = browser.eval(_COPY)
        assert cli(*shlex.split(str(line))[1:], "-o", "again").code == 0
        bodies = [each["body"] for each in server.submits()]
        assert bodies[-1] == bodies[2]
        assert browser.eval(_COPY_BY_HAND) == ["marked: now copy it by key", line]
        _check_quiet(browser)
        browser.open(f"{_served(stack, cli.work)}/page.html")
        assert browser.eval("document.querySelectorAll('a.shot img').length") == 6
        time.sleep(0.5)  # for whatever a browser asks for by itself
        assert browser.eval("document.querySelector('a.shot img').naturalWidth") == 2048
        _check_quiet(browser)
        for width, is_dark in ((1200, False), (1200, True), (320, False)):
            name = f"{width}-{'dark' if is_dark else 'light'}.png"
            browser.look(tmp_path / name, width, 900, is_dark=is_dark)
            assert (tmp_path / name).stat().st_size > 10_000
            assert browser.eval("document.documentElement.scrollWidth <= innerWidth") is True


@pytest.mark.soak
@pytest.mark.skipif(browsers.PROGRAM is None, reason="needs a Chromium: none is on PATH")
def test_a_manifests_page_in_a_real_browser(cli: Cli, manifest: Path, tmp_path: Path) -> None:
    """A button chooses a state, a link finds a card that is filtered out, and nothing jumps."""
    batch = ("generate", "--batch", manifest.name, "-p", "ark", "--gallery", "page.html")
    assert cli(*batch).code == 0
    manifest.write_text(ROWS.replace("a cat", "two cats") + '[images.elk]\nprompt = "an elk"\n')
    assert cli(*batch, "--check").code == 1
    with browsers.browsing(tmp_path / "profile") as browser:
        browser.open((cli.work / "page.html").as_uri())
        assert browser.eval(_SHIFT) == 0
        chips = "[...document.querySelectorAll('.states button')]"
        shown = "[...document.querySelectorAll('li:not([hidden])')].map((each) => each.id)"
        assert browser.eval(f"{chips}.map((each) => each.textContent)") == [
            *("3 current", "1 stale", "1 to make"),
        ]
        browser.eval(f"{chips}[1].click()")
        assert browser.eval(shown) == ["cat"]
        assert browser.eval(f"{chips}[1].getAttribute('aria-pressed')") == "true"
        browser.eval(f"{chips}[1].click()")
        browser.eval("document.querySelector('input').focus()")
        browser.type("dog")
        assert browser.eval(shown) == ["dog"]
        browser.eval("document.querySelector('#dog a[href=\"#bee\"]').click()")
        assert len(str(browser.eval(f"{shown}.join('')"))) == len("antbeecatdogelk")
        assert browser.eval("location.hash") == "#bee"
        assert browser.eval("[...document.querySelectorAll('h1, h2')].length") == 6
        assert browser.eval("[...document.querySelectorAll('img[loading]')].every((i) => i.alt)")
        assert browser.complaints() == []


@pytest.mark.soak
def test_two_thousand_jobs_make_a_small_page_quickly(cli: Cli) -> None:
    """It is smaller than 3 MB, and made in less than five times what `status --json` takes."""
    for part in range(10):
        line = ("generate", "a fox", "-s", "1K", "--sandbox", "-n", "200", "-o", f"{part}/{{n}}")
        assert cli(*line).code == 0
    started = time.monotonic()
    assert len(cli("status", "--json").objects) == 2000
    middle = time.monotonic()
    assert cli("status", "--gallery", "page.html").code == 0
    assert time.monotonic() - middle < 5 * (middle - started)
    assert (cli.work / "page.html").stat().st_size < 3_000_000
