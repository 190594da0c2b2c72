"""A manifest's text becomes rows with lasting names, or every mistake in it is told by its line."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedream_cli.batch.manifest.read import (
    Manifest,
    Row,
    RowReference,
    Syntax,
    kind_of,
    kind_within,
    read,
    shards,
)
from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.request.options import OF_MANIFESTS, OF_PROFILES

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES = {"fox.txt": "a fox", "empty.txt": "", "odd.txt": "\udcff", "raw.txt": ""}
NAMES = {Syntax.TOML: "assets.toml", Syntax.JSON_LINES: "jobs.jsonl", Syntax.TEXT: "prompts.txt"}


def load(file: str) -> str:
    """Return the text of a prompt file of the tests."""
    if file not in FILES:
        raise StorageError(f"there is no file {file}")
    return FILES[file] if file != "raw.txt" else b"\xff".decode()


def manifest(text: str, kind: Syntax = Syntax.TOML) -> Manifest:
    """Read a manifest of this kind."""
    return read(text, file=NAMES[kind], kind=kind, load=load)


def rows(text: str, kind: Syntax = Syntax.TOML) -> dict[str, Row]:
    """Return a manifest's rows by name."""
    return {row.name: row for row in manifest(text, kind).rows}


def one(text: str, kind: Syntax = Syntax.TOML) -> Row:
    """Return the only row of a manifest."""
    (row,) = manifest(text, kind).rows
    return row


def mistakes(text: str, kind: Syntax = Syntax.TOML) -> list[str]:
    """Return the lines of the mistakes, without the file's name."""
    with pytest.raises(UsageError) as caught:
        manifest(text, kind)
    return [line.removeprefix(f"{NAMES[kind]}:") for line in caught.value.message.split("\n")]


def outcome(text: str, kind: Syntax) -> Manifest | list[str]:
    """Return what is read, or the lines of the mistakes."""
    try:
        return manifest(text, kind)
    except UsageError as error:
        return error.message.split("\n")


def lines(*values: Mapping[str, object]) -> str:
    """Write JSON Lines."""
    return "\n".join(json.dumps(value) for value in values)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("assets.toml", Syntax.TOML),
        ("site/ASSETS.TOML", Syntax.TOML),
        ("jobs.jsonl", Syntax.JSON_LINES),
        ("jobs.ndjson", Syntax.JSON_LINES),
        ("jobs.json", Syntax.JSON_LINES),
        ("-", Syntax.JSON_LINES),
        ("prompts.txt", Syntax.TEXT),
        ("prompts", Syntax.TEXT),
        ("fox.text", Syntax.TEXT),
        ("fox.PROMPTS", Syntax.TEXT),
        ("a.b/.prompts", Syntax.TEXT),
        ("some.toml/prompts", Syntax.TEXT),
        ("toml", Syntax.TEXT),
    ],
)
def test_the_name_tells_how_it_is_written(file: str, kind: Syntax) -> None:
    """The extension decides, in any case of its letters; stdin is JSON Lines."""
    assert kind_of(file) is kind


@pytest.mark.parametrize(
    "extension", ["yaml", "yml", "csv", "tsv", "lock", "ini", "xml", "md", "toml~", "png"]
)
def test_another_extension_is_no_manifest(extension: str) -> None:
    """A table or a document is not bought line by line as if it were prompts."""
    with pytest.raises(UsageError, match=r"a manifest is \.toml, \.jsonl or \.txt"):
        kind_of(f"art.{extension.upper()}")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('\ufeff\n {"prompt": "x"}', Syntax.JSON_LINES),
        ("a fox {", Syntax.TEXT),
        ("[images.a]", Syntax.TEXT),
        ("", Syntax.TEXT),
    ],
)
def test_a_pipe_tells_how_it_is_written(text: str, kind: Syntax) -> None:
    """It has no name that could: its first character decides."""
    assert kind_within(text) is kind


@pytest.mark.parametrize("text", ['\n  {"prompt": "x"}\n', '[{"prompt": "x"}]', "{", "[images.a]"])
def test_a_text_that_is_not_prompts_is_told(text: str) -> None:
    """JSON, or TOML, under the name of a text would be bought line by line."""
    line = text.count("\n", 0, len(text) - len(text.lstrip())) + 1
    said = f"{line}: that looks like JSON Lines: name it prompts.jsonl"
    if "images" in text:
        said = f"{line}: that looks like TOML: name it prompts.toml"
    assert mistakes(text, Syntax.TEXT) == [said]
    assert one("a fox\n", Syntax.TEXT).prompt == "a fox"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[images.fox]\nprompt = 'a fox'\n", 1),
        ("# our pictures\n\n [defaults] # for all\n", 3),
        ('[images."a fox"]', 1),
        ("[[images]]", 1),
        ("[ images . 'a' ]", 1),
        ('prompt = "a fox"', 1),
        ('images.fox.prompt = "a fox"', 1),
    ],
)
def test_toml_on_stdin_is_told(text: str, line: int) -> None:
    """Whoever sends TOML through stdin reads that a file takes it, not that it is a bad list."""
    with pytest.raises(UsageError) as caught:
        read(text, file="stdin", kind=Syntax.JSON_LINES, load=load)
    said = "this is TOML, which is read from a FILE.toml: stdin takes JSON Lines"
    assert caught.value.message == f"stdin:{line}: {said}"
    (found,) = mistakes(text, Syntax.JSON_LINES)
    assert found.startswith(f"{line}: this is TOML, which is read from a FILE.toml only")


@pytest.mark.parametrize("text", ['["a"]', "[1]", "[[1]]", '[{"prompt": "a = b"}]', '["a = b"]'])
def test_a_json_list_is_no_toml(text: str) -> None:
    """What could be both is told as the list that it is more likely."""
    assert mistakes(text, Syntax.JSON_LINES)[0].startswith("1: this is a JSON list")


@pytest.mark.parametrize("count", [1001, 10**9])
def test_a_count_has_a_bound(count: int) -> None:
    """As `-n` has: no slip of a digit buys a million pictures, in a row or in the defaults."""
    said = "count must be at most 1000"
    assert mistakes(HERO + f"count = {count}\n") == [f"3: images.hero: {said}"]
    assert mistakes(f"[defaults]\ncount = {count}\n{HERO}") == [f"2: defaults: {said}"]
    assert one(HERO + "count = 1000\n").count == 1000


def test_a_table_is_a_row() -> None:
    """What is said of a picture is in its row, with the line that it begins on."""
    text = """\
[images.hero]
prompt = "a lighthouse"
output = "site/{name}.{ext}"
profile = "work"
model = "seedream-4.5"
count = 2
references = ["style/board.png", "https://example.com/a.png?x=1"]
size = "2K"
set = {nsfw = false}

[images."hero night"]
prompt_file = "fox.txt"
"""
    hero, night = manifest(text).rows
    assert hero == Row(
        name="hero",
        line=1,
        prompt="a lighthouse",
        output="site/{name}.{ext}",
        profile="work",
        model="seedream-4.5",
        count=2,
        references=(
            RowReference(text="style/board.png"),
            RowReference(text="https://example.com/a.png?x=1"),
        ),
        options={"size": "2K", "set": {"nsfw": False}},
    )
    assert night == Row(
        name="hero night",
        line=11,
        prompt="a fox",
        output=None,
        profile=None,
        model=None,
        count=None,
        references=(),
        options={},
    )


def test_an_object_is_a_row() -> None:
    """JSON Lines have the fields of TOML and a name; blank lines and a BOM are nothing."""
    text = '\ufeff\n{"name": "hero", "prompt": "a\u2028b", "seed": 7}\r\n\n \n{"prompt": "b"}\n'
    hero, other = manifest(text, Syntax.JSON_LINES).rows
    assert (hero.name, hero.line, hero.prompt, hero.options) == ("hero", 2, "a\u2028b", {"seed": 7})
    assert (other.name, other.line) == ("b-3e23e8", 5)


def test_a_line_is_a_row() -> None:
    """In a text each line that holds anything but a comment is a prompt, stripped."""
    text = "\ufeff  a lighthouse at dawn \r\n\n# a fox\r\n\t\n  \\# 1 a fox\n\\\\# a\n\\a#\n"
    found = [(row.line, row.prompt, row.options) for row in manifest(text, Syntax.TEXT).rows]
    prompts = [(1, "a lighthouse at dawn"), (5, "# 1 a fox"), (6, "\\# a"), (7, "\\a#")]
    assert found == [(line, prompt, {}) for line, prompt in prompts]


def test_comments_alone_are_no_picture() -> None:
    """A text of comments buys nothing, and one in front hides no other kind of manifest."""
    with pytest.raises(UsageError, match="there is no picture in it"):
        manifest("# a fox\n#\n", Syntax.TEXT)
    with pytest.raises(UsageError, match="that looks like TOML"):
        manifest("# ours\n[images.fox]\n", Syntax.TEXT)


@pytest.mark.parametrize("prompt", ["@prompt.txt", "file:///tmp/a%20fox.txt"])
def test_a_file_is_no_prompt(prompt: str) -> None:
    """What was meant to be read from a file is not bought as it stands."""
    with pytest.raises(UsageError, match="prompt names a file: prompt_file = "):
        manifest(f"[images.fox]\nprompt = '{prompt}'\n", Syntax.TOML)


def test_defaults_are_overruled_field_by_field() -> None:
    """A row's word goes over that of [defaults]; what it does not say comes from there."""
    text = """\
[defaults]
profile = "work"
model = "seedream-4.5"
output = "art/{name}.{ext}"
prompt_prefix = "<"
prompt_suffix = ">"
references = ["board.png"]
count = 2
seed = 1
sidecar = true
set = {a = {x = 1, y = 1}, b = 1}
[images.plain]
prompt = "p"
[images.own]
prompt = "o"
profile = "home"
output = "o.png"
prompt_suffix = ""
references = []
count = 1
seed = 2
set = {a = {y = 2}, c = [3]}
"""
    found = rows(text)
    assert found["plain"] == Row(
        name="plain",
        line=12,
        prompt="<p>",
        output="art/{name}.{ext}",
        profile="work",
        model="seedream-4.5",
        count=2,
        references=(RowReference(text="board.png"),),
        options={"seed": 1, "sidecar": True, "set": {"a": {"x": 1, "y": 1}, "b": 1}},
    )
    assert found["own"] == Row(
        name="own",
        line=14,
        prompt="<o",
        output="o.png",
        profile="home",
        model="seedream-4.5",
        count=1,
        references=(),
        options={"seed": 2, "sidecar": True, "set": {"a": {"x": 1, "y": 2}, "b": 1, "c": [3]}},
    )


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ('size = "1024x768"', {"size": "1024x768"}),
        ('size = "4K"', {"size": "4K", "aspect": "16:9"}),
        ('size = "1024x768"\naspect = "1:1"', {"size": "1024x768", "aspect": "1:1"}),
        ('quality = "high"', {"quality": "high", "aspect": "16:9"}),
        ('size = "max"', {"size": "max", "aspect": "16:9"}),
        ("seed = 1", {"size": "2K", "aspect": "16:9", "seed": 1}),
    ],
)
def test_a_default_gives_way_to_what_says_the_same(own: str, expected: object) -> None:
    """A row's size in pixels has its aspect, and quality is a size, as where profiles say them."""
    text = f'[defaults]\nsize = "2K"\naspect = "16:9"\n[images.a]\nprompt = "p"\n{own}\n'
    assert one(text).options == expected


def test_a_size_takes_the_place_of_a_default_quality() -> None:
    """The two are words for one thing."""
    text = '[defaults]\nquality = "high"\n[images.a]\nprompt = "p"\nsize = "4K"\n'
    assert one(text).options == {"size": "4K"}


SAMPLES: Mapping[str, object] = {
    "size": "2K",
    "aspect": "16:9",
    "count": 2,
    "series": 4,
    "seed": -1,
    "guidance": 2.5,
    "steps": 30,
    "quality": "high",
    "format": "png",
    "watermark": False,
    "set": {"a": [1, "b"]},
    "callback_url": "https://example.com/",
    "any_format": True,
    "sidecar": True,
}


def test_every_picture_option_is_a_field() -> None:
    """All that a profile may say of a picture, a row may say too; the command's own it may not."""
    assert set(SAMPLES) == OF_PROFILES.keys() - {"wait", "timeout"}
    row = one(lines({"prompt": "p", **SAMPLES}), Syntax.JSON_LINES)
    assert {**row.options, "count": row.count} == SAMPLES


@pytest.mark.parametrize("field", sorted(SAMPLES))
def test_every_picture_option_is_checked(field: str) -> None:
    """A value of another type is a mistake that says what the field takes."""
    values: list[object] = [[], None, 1.5 if field != "guidance" else "1.5", True, {"a": None}]
    for value in values:
        if value is True and isinstance(SAMPLES[field], bool):
            continue
        text = lines({"prompt": "p", field: value})
        assert mistakes(text, Syntax.JSON_LINES) == [f"1: {field} must be {OF_MANIFESTS[field]}"]


HERO = '[images.hero]\nprompt = "p"\n'
STANDS = "is not allowed: a manifest stands for itself on any machine; name a file, "
STANDS += "an https URL or images.NAME"
NO_NAME = "is no name: it has 1 to 100 printable characters, no slash or backslash, "
NO_NAME += "no dot or dash in front, no space at its ends"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [" there is no picture in it"]),
        ("[images]\n", [" there is no picture in it"]),
        ("[defaults]\nsize = '2K'\n", [" there is no picture in it"]),
        ("a =\n", ["1: is not TOML: Invalid value (column 4)"]),
        ("a = 1\n\na = 2\n", ["3: is not TOML: Cannot overwrite a value (column 6)"]),
        ("\n[images.hero\n", ["2: is not TOML: Expected ']' at the end of a table declaration"]),
        ('\na = """\n\n', ["2: is not TOML: Unterminated string (at end of document)"]),
        ("a = " + "[" * 5000, [" is nested too deeply"]),
        ("\na = 1" + "0" * 5000, [" is not TOML: Exceeds the limit"]),
        (HERO + "a = '\udcff'", ["3: is no UTF-8 text"]),
        ("x = 1\n" + HERO, ["1: x is not known here; a manifest has [defaults] and [images.NAME]"]),
        (
            "\nsize = '2K'\n" + HERO,
            ["2: size stands in no table: put it into [defaults] or [images.NAME]"],
        ),
        (
            HERO + "[default]\n",
            [
                (
                    "3: default is not known here; a manifest has [defaults] and [images.NAME]; "
                    "did you mean [defaults]?"
                )
            ],
        ),
        (
            HERO + "[fox]\nprompt = 'p'\n",
            ["3: [fox] is no table of a manifest: write [images.fox]"],
        ),
        ("\ndefaults = 1\n" + HERO, ["2: defaults must be a table: write [defaults]"]),
        ("\nimages = 1\n", ["2: images must hold tables: write [images.NAME]"]),
        ("[[images]]\nprompt = 'p'\n", ["1: images must hold tables: write [images.NAME]"]),
        (
            "[images]\nhero = 'p'\n",
            ["2: images.hero: must be a table: write [images.hero]"],
        ),
        (
            "\n[[images.hero]]\nprompt = 'p'\n",
            ["2: images.hero: must be a table: write [images.hero]"],
        ),
        (HERO + "sise = '2K'\n", ["3: images.hero: sise is no field; did you mean size?"]),
        (HERO + "Size = '2K'\n", ["3: images.hero: Size is no field; did you mean size?"]),
        (HERO + "zzz = '2K'\n", ["3: images.hero: zzz is no field"]),
        (HERO + '"a\\nb" = 1\n', ["3: images.hero: a\\nb is no field"]),
        (HERO + '"' + "z" * 70 + '" = 1\n', [f"3: images.hero: {'z' * 60}… is no field"]),
        (
            HERO + "name = 'x'\n",
            ["3: images.hero: name is no field: the name is NAME in [images.NAME]"],
        ),
        (
            HERO + "wait = true\n",
            ["3: images.hero: wait is for the command line, as --wait: it is no picture's"],
        ),
        (
            "[defaults]\ntimeout = 3\n" + HERO,
            ["2: defaults: timeout is for the command line, as --timeout: it is no picture's"],
        ),
        (
            "[defaults]\nsize = 2\n" + HERO,
            ["2: defaults: size must be a text"],
        ),
        (
            "[defaults]\nprompt = 'p'\nprompt_file = 'fox.txt'\n" + HERO,
            [
                "2: defaults: prompt is for one picture: put it into [images.NAME]",
                "3: defaults: prompt_file is for one picture: put it into [images.NAME]",
            ],
        ),
        ("[images.hero]\n", ["1: images.hero: prompt is missing"]),
        ("[images.hero]\nprompt = 3\n", ["2: images.hero: prompt must be a text"]),
        ("[images.hero]\n\nprompt = ' \t'\n", ["3: images.hero: prompt is empty"]),
        ('[images.hero]\nprompt = "a\\u0000"\n', ["2: images.hero: prompt holds a NUL"]),
        (
            HERO + "prompt_file = 'fox.txt'\n",
            ["3: images.hero: prompt and prompt_file are two prompts: keep one"],
        ),
        (
            "[images.hero]\nprompt_file = 'none.txt'\n",
            ["2: images.hero: prompt_file: there is no file none.txt"],
        ),
        ("[images.hero]\nprompt_file = ''\n", ["2: images.hero: prompt_file is empty"]),
        ("[images.hero]\nprompt_file = 'empty.txt'\n", ["2: images.hero: prompt_file is empty"]),
        *(
            (
                f"[images.hero]\nprompt_file = '{file}'\n",
                [f"2: images.hero: prompt_file: {file} is no UTF-8 text"],
            )
            for file in ("odd.txt", "raw.txt")
        ),
        (HERO + "prompt_prefix = 1\n", ["3: images.hero: prompt_prefix must be a text"]),
        (HERO + "profile = ''\n", ["3: images.hero: profile is empty"]),
        (HERO + "model = ['a']\n", ["3: images.hero: model must be a text"]),
        (HERO + "count = 0\n", ["3: images.hero: count must be a whole number from 1"]),
        (HERO + "guidance = nan\n", ["3: images.hero: guidance must be a number"]),
        (
            HERO + "set = {a = 2026-11-21}\n",
            ["3: images.hero: set must be a table that JSON can hold"],
        ),
        ("[images.'a/b']\nprompt = 'p'\n", [f"1: images.a/b: “a/b” {NO_NAME}"]),
        ("[images.'']\nprompt = 'p'\n", [f"1: images.: “” {NO_NAME}"]),
        (HERO + "references = 'a.png'\n", ["3: images.hero: references must be a list of texts"]),
        (HERO + "references = ['']\n", ["3: images.hero: references must be a list of texts"]),
        (
            HERO + "references = ['-', 'job:last.2', '@1']\n",
            [f"3: images.hero: references: {text} {STANDS}" for text in ("-", "job:last.2", "@1")],
        ),
        (
            HERO + "references = ['http://example.com/a.png']\n",
            ["3: images.hero: references: http://example.com/a.png is no https URL"],
        ),
        *(
            (
                HERO + f"references = ['{url}']\n",
                [f"3: images.hero: references: {url} is no https URL"],
            )
            for url in ("https://", "https://[x/", "https://me@x.y/", "https://x.y/a b", "ftp://x")
        ),
        (
            HERO + 'references = ["https://x.y/\\u200b"]\n',
            ["3: images.hero: references: https://x.y/\\u200b is no https URL"],
        ),
        (
            HERO + 'references = ["a\\u0000.png"]\n',
            ["3: images.hero: references: a\\x00.png holds a NUL"],
        ),
        (
            HERO + "[images.fox]\nprompt = 'p'\nreferences = ['images.heron', 'images.herp.2']\n",
            [
                (
                    "5: images.fox: references: images.heron is no picture here; "
                    "did you mean images.hero?"
                ),
                (
                    "5: images.fox: references: images.herp.2 is no picture here; "
                    "did you mean images.hero?"
                ),
            ],
        ),
        (
            HERO + "references = ['images.png', 'images.']\n",
            [
                (
                    "3: images.hero: references: images.png is no picture here "
                    "(a file is written ./images.png)"
                ),
                (
                    "3: images.hero: references: images. is no picture here "
                    "(a file is written ./images.)"
                ),
            ],
        ),
        (
            HERO + "count = 3\n[images.fox]\nprompt = 'p'\n"
            "references = ['images.hero', 'images.hero.0', 'images.hero.4', 'images.fox.2']\n",
            [
                (
                    "6: images.fox: references: images.hero has 3 pictures; "
                    "say which: images.hero.1 to images.hero.3"
                ),
                (
                    "6: images.fox: references: images.hero.0 is not there; "
                    "say images.hero.1 to images.hero.3"
                ),
                (
                    "6: images.fox: references: images.hero.4 is not there; "
                    "say images.hero.1 to images.hero.3"
                ),
                "6: images.fox: references: images.fox.2 is not there; say images.fox",
            ],
        ),
        (
            HERO + "series = 2\ncount = 2\n[images.fox]\nprompt = 'p'\n"
            "references = ['images.hero']\n",
            [
                (
                    "7: images.fox: references: images.hero has 4 pictures; "
                    "say which: images.hero.1 to images.hero.4"
                ),
            ],
        ),
        (
            HERO + f"count = 0x{'f' * 5000}\n[images.fox]\nprompt = 'p'\n"
            "references = ['images.hero']\n",
            [
                "3: images.hero: count must be at most 1000",
                (
                    "6: images.fox: references: images.hero has 1000000000 pictures; "
                    "say which: images.hero.1 to images.hero.1000000000"
                ),
            ],
        ),
        (
            "[defaults]\nreferences = ['http://x.y', 'images.board']\n"
            + HERO
            + "[images.board]\nprompt = 'p'\n",
            [
                "2: defaults: references: http://x.y is no https URL",
                (
                    "5: images.board: references: it needs itself: images.board → images.board; "
                    "references = [] takes off those of [defaults]"
                ),
            ],
        ),
        (
            HERO + "references = ['images.b']\n"
            "[images.b]\nprompt = 'p'\nreferences = ['a.png', 'images.c']\n"
            "[images.c]\nprompt = 'p'\nreferences = ['images.b.1']\n"
            "[images.d]\nprompt = 'p'\nreferences = ['images.d']\n",
            [
                "6: images.b: references: it needs itself: images.b → images.c → images.b",
                "12: images.d: references: it needs itself: images.d → images.d",
            ],
        ),
        (HERO + "output = ''\n", ["3: images.hero: output is empty"]),
        (HERO + "output = 1\n", ["3: images.hero: output must be a text"]),
        (HERO + 'output = "a\\u0000b"\n', ["3: images.hero: output: holds a NUL"]),
        *(
            (
                HERO + f"output = 'a-{{{field}}}.png'\n",
                [
                    (
                        f"3: images.hero: output: {{{field}}} is not allowed here: "
                        "the name must be the same on every run"
                    )
                ],
            )
            for field in ("job", "date", "time")
        ),
        (
            HERO + "output = 'a-{nam}-{zzz}-{}.png'\n",
            [
                "3: images.hero: output: {nam} is no field; did you mean {name}?",
                "3: images.hero: output: {zzz} is no field",
                "3: images.hero: output: {} is no field",
            ],
        ),
        (
            HERO + "output = '{name:2}'\n",
            ["3: images.hero: output: {name:2} is no field; did you mean {name}?"],
        ),
        (
            HERO + "output = '}a{'\n",
            [
                "3: images.hero: output: a } stands by itself; {{ and }} are braces",
                "3: images.hero: output: a { stands by itself; {{ and }} are braces",
            ],
        ),
        *(
            (
                HERO + f"output = '{folder}'\n",
                [
                    (
                        f"3: images.hero: output: {folder} is a folder: "
                        "name a file in it, as {name}.{ext}"
                    )
                ],
            )
            for folder in ("site/", ".", "a/..")
        ),
        (
            "[defaults]\noutput = 'a.png'\n" + HERO,
            ["2: defaults: output: must hold {name} here: all pictures would go to one file"],
        ),
        (
            HERO + "output = 'site/a.png'\n"
            "[images.b]\nprompt = 'p'\noutput = './site//x/../A.PNG'\n",
            ["6: images.b: output: images.hero, line 1, has the same"],
        ),
    ],
)
def test_mistakes_in_toml_are_told(text: str, expected: list[str]) -> None:
    """Each mistake names its line and table, what is wrong, and what was meant where it shows."""
    found = mistakes(text)
    assert len(found) == len(expected)
    for line, beginning in zip(found, expected, strict=True):
        # How the parser ends its sentences is its own.
        is_exact = "not TOML" not in beginning and "NUL" not in beginning
        assert line == beginning if is_exact else line.startswith(beginning)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n \n", [" there is no picture in it"]),
        ('{"prompt": "a"}\n{"prompt": }', ["2: is not JSON: Expecting value (column 12)"]),
        ('{"prompt": "a"},', ["1: is not JSON: Extra data (column 16)"]),
        ('\n"a"\n3', [f"{n}: is no JSON object: write one a line, {{…}}" for n in (2, 3)]),
        *(
            (
                text,
                [
                    (
                        "2: this is a JSON list: write one object a line, "
                        "no [ ] around, no commas between"
                    )
                ],
            )
            for text in ('\n[\n{"prompt": "a"},\n{"prompt": "b"}\n]', '\n[{"prompt": "a"}]')
        ),
        (
            '{"prompt": "p", "seed": NaN}\n{"prompt": "p", "seed": -Infinity}',
            [
                "1: cannot be read: NaN is no number that JSON has",
                "2: cannot be read: -Infinity is no number that JSON has",
            ],
        ),
        ('{"prompt": "p", "guidance": 1e999}', ["1: guidance must be a number"]),
        ('{"prompt": "p", "set": {"a": 1, "a": 1}}', ["1: cannot be read: a is said twice"]),
        ('{"prompt": "p", "prompt": "p"}', ["1: cannot be read: prompt is said twice"]),
        ('{"prompt": "\\ud83d"}', ["1: cannot be read: \\u escapes of half a character"]),
        ('{"prompt": "p", "set": {"a": ["\\udfff"]}}', ["1: cannot be read: \\u escapes of"]),
        ('{"prompt": ' + "[" * 100_000, ["1: is nested too deeply"]),
        ('{"prompt": "p", "seed": 1' + "0" * 5000 + "}", ["1: cannot be read: Exceeds the limit"]),
        ('{"prompt": "\udcff"}', ["1: is no UTF-8 text"]),
        ("{}", ["1: prompt is missing"]),
        ('{"name": "a"}', ["1: prompt is missing"]),
        ('{"prompt": null}', ["1: prompt must be a text"]),
        ('{"prompt": ""}', ["1: prompt is empty"]),
        ('{"prompt": "p", "name": 3}', ["1: name must be a text"]),
        ('{"prompt": "p", "defaults": {}}', ["1: defaults is no field"]),
        ('{"prompt": "p", "timeout": 3}', ["1: timeout is for the command line"]),
        *(
            (lines({"prompt": "p", "name": name}), [f"1: “{shown}” {NO_NAME}"])
            for name, shown in [
                ("", ""),
                ("n" * 101, "n" * 60 + "…"),
                (".a", ".a"),
                ("-a", "-a"),
                (" a", " a"),
                ("a ", "a "),
                ("a/b", "a/b"),
                ("a\\b", "a\\b"),
                ("a\nb", "a\\nb"),
                ("a\0", "a\\x00"),
                ("a\u202eb", "a\\u202eb"),
            ]
        ),
        (
            lines(
                {"prompt": "p", "name": "a"},
                {"prompt": "q", "name": "b"},
                {"prompt": "r", "name": "a"},
            ),
            ["3: two pictures are named a, on lines 1 and 3"],
        ),
        (
            lines({"prompt": "b"}, {"prompt": "c", "name": "b-3e23e8"}),
            ["2: two pictures are named b-3e23e8, on lines 1 and 2"],
        ),
        (
            lines({"output": "{job}", "references": ["-"], "sise": 1}),
            [
                "1: sise is no field; did you mean size?",
                "1: prompt is missing",
                f"1: references: - {STANDS}",
                "1: output: {job} is not allowed here: the name must be the same on every run",
            ],
        ),
        (
            lines(
                {"prompt": "p", "output": "a.png"},
                {"prompt": "p", "output": "{{a"},
                {"prompt": "p", "output": "A.png"},
                {"prompt": "p", "output": "{{A"},
            ),
            [
                "3: output: images.p-148de9, line 1, has the same",
                "4: output: images.p-148de9-2, line 2, has the same",
            ],
        ),
        (
            lines({"prompt": "p", "name": "a", "references": ["images.a"]}),
            ["1: references: it needs itself: images.a → images.a"],
        ),
    ],
)
def test_mistakes_in_json_lines_are_told(text: str, expected: list[str]) -> None:
    """Each mistake names its line, what is wrong, and what was meant where it shows."""
    found = mistakes(text, Syntax.JSON_LINES)
    assert len(found) == len(expected)
    assert all(map(str.startswith, found, expected)), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" \n\n", [" there is no picture in it"]),
        ("a\nb\0\n", ["2: prompt holds a NUL, so it is no text"]),
        ("a\n\udcff", ["2: is no UTF-8 text"]),
    ],
)
def test_mistakes_in_a_text_are_told(text: str, expected: list[str]) -> None:
    """A text has few ways to be wrong: to hold nothing, and to be none."""
    assert mistakes(text, Syntax.TEXT) == expected


def test_all_mistakes_are_told_at_once() -> None:
    """They come in the order of their lines, and unknown fields bring the list of the known."""
    text = HERO + "output = '{}'\nsise = 1\n[images.b]\ncount = 0\nprompt = 'p'\noutput = '{job}'\n"
    with pytest.raises(UsageError) as caught:
        manifest(text)
    assert caught.value.message.split("\n") == [
        "assets.toml:3: images.hero: output: {} is no field",
        "assets.toml:4: images.hero: sise is no field; did you mean size?",
        "assets.toml:6: images.b: count must be a whole number from 1",
        (
            "assets.toml:8: images.b: output: {job} is not allowed here: "
            "the name must be the same on every run"
        ),
    ]
    assert caught.value.hint.startswith("fields of a picture: prompt, prompt_file, ")


def test_of_many_mistakes_the_first_are_shown() -> None:
    """Fifty have a line each, the rest is a number; exactly fifty are all shown."""
    found = mistakes("{}\n" * 51, Syntax.JSON_LINES)
    assert found == [*(f"{n}: prompt is missing" for n in range(1, 51)), "… and 1 more"]
    assert len(mistakes("{}\n" * 50, Syntax.JSON_LINES)) == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[images.a]\nprompt = 'p'\n", {"a": 1}),
        ("[images]\na = {prompt = 'p'}\n\n'b c' = {prompt = 'p'}\n", {"a": 2, "b c": 4}),
        ("[images]\na.prompt = 'p'\n'b'.\"prompt\" = 'p'\n", {"a": 2, "b": 3}),
        ("images.a.prompt = 'p'\nimages.b.prompt = 'p'\n", {"a": 1, "b": 2}),
        ("\nimages = {a = {prompt = 'p'}}\n", {"a": 2}),
        ("\n  [ images . 'x.y' ] # it's one\nprompt = 'p'\r\n", {"x.y": 2}),
        ("[images.a.set]\nx = 1\n[images.b]\nprompt = 'p'\n[images.a]\nprompt = 'p'\n", {"a": 1}),
        ('[images.a]\nprompt = """\n[images.b]\n"""\n[images.b]\nprompt = \'p\'\n', {"b": 5}),
        ("[images.a]\nprompt = '''\n[images.b]'''\n[images.b]\nprompt = 'p'\n", {"b": 4}),
        ('[images.a]\nprompt = "\\"\'\'\'" # """\n[images.b]\nprompt = \'p\'\n', {"b": 3}),
        ("[images.a]\nprompt = 'p'\nset.x = [\n[1],\n]\n[images.b]\nprompt = 'p'\n", {"b": 6}),
    ],
)
def test_lines_are_found_however_toml_is_written(text: str, expected: Mapping[str, int]) -> None:
    """A row's line is where its table or key stands, not where a text looks like it."""
    found = {name: row.line for name, row in rows(text).items()}
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[images.a]\nprompt = """\nsize = 1\n"""\nsize = 1\n', 5),
        ("[images.a]\nprompt = 'p'\n\n\"size\" = 1\n", 4),
        ("[images]\na.prompt = 'p'\na . size = 1\n", 3),
        ("[images]\n\na = {prompt = 'p', size = 1}\n", 3),
        ("[images.a]\nprompt = 'p'\nset.x = [\n[1],\n]\nsize = 1\n", 6),
        ("[images.b]\nprompt = 'p'\nseed = 1\n[images.a]\nprompt = 'p'\nsize = 1\n", 6),
    ],
)
def test_a_field_is_told_by_its_line(text: str, line: int) -> None:
    """A field's mistake is on the field's line where it stands plainly, else on its table's."""
    assert mistakes(text) == [f"{line}: images.a: size must be a text"]


def test_a_name_may_hold_dots() -> None:
    """What follows `images.` is a name first of all, and only then a name and a number."""
    text = """\
[images."v1.2"]
prompt = "p"
[images.v1]
prompt = "p"
count = 3
[images."v1.2.3"]
prompt = "p"
references = ["images.v1.2", "images.v1.3", "images.v1.2.1"]
"""
    assert rows(text)["v1.2.3"].references == (
        RowReference(text="images.v1.2", row="v1.2"),
        RowReference(text="images.v1.3", row="v1", n=3),
        RowReference(text="images.v1.2.1", row="v1.2", n=1),
    )


def test_a_path_may_begin_like_a_row() -> None:
    """`images.old/a.png` and `./images.png` are files: no name holds a slash."""
    text = HERO + "references = ['images.old/a.png', './images.png', 'a:b@c.png', '/x/y.png']\n"
    assert [reference.row for reference in one(text).references] == [None] * 4


def test_defaults_may_name_a_row() -> None:
    """One that takes the defaults' references off may itself be one of them."""
    text = "[defaults]\nreferences = ['images.board']\n" + HERO
    text += "[images.board]\nprompt = 'p'\nreferences = []\n"
    found = rows(text)
    assert found["hero"].references == (RowReference(text="images.board", row="board"),)
    assert found["board"].references == ()


def test_a_long_chain_of_rows_is_no_cycle() -> None:
    """Rows may need rows that need rows, to any depth; where the last needs the first, it is."""
    chain = [
        {"prompt": "p", "name": f"n{i}", "references": [f"images.n{i + 1}"]} for i in range(3000)
    ]
    assert len(rows(lines(*chain, {"prompt": "p", "name": "n3000"}), Syntax.JSON_LINES)) == 3001
    last = {"prompt": "p", "name": "n3000", "references": ["images.n0"]}
    (found,) = mistakes(lines(*chain, last), Syntax.JSON_LINES)
    path = " → ".join(f"images.n{i}" for i in range(8))
    assert found == f"1: references: it needs itself: {path} → … → images.n0"


def test_a_row_is_told_once_that_it_needs_itself() -> None:
    """Two cycles through one row are one mistake: to part the first may part the other."""
    text = lines(
        {"prompt": "p", "name": "a", "references": ["images.b", "images.c"]},
        {"prompt": "p", "name": "b", "references": ["images.a"]},
        {"prompt": "p", "name": "c", "references": ["images.a"]},
    )
    found = mistakes(text, Syntax.JSON_LINES)
    assert found == ["1: references: it needs itself: images.a → images.b → images.a"]


def test_a_diamond_is_no_cycle() -> None:
    """Two ways to the same row are allowed."""
    text = lines(
        {"prompt": "p", "name": "a", "references": ["images.b", "images.c", "images.b"]},
        {"prompt": "p", "name": "b", "references": ["images.d"]},
        {"prompt": "p", "name": "c", "references": ["images.d"]},
        {"prompt": "p", "name": "d"},
    )
    assert list(rows(text, Syntax.JSON_LINES)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "output",
    [
        "{name}.{ext}",
        "site/hero.png",
        "{provider}/{model}/{slug}-{seed}-{width}x{height}-{n}.{ext}",
        "{n:03}-{n:3}",
        "{{job}}.png",
        "{{{name}}}",
        "../a.png",
    ],
)
def test_an_output_is_kept_as_written(output: str) -> None:
    """A template is checked here and filled later."""
    row = one(lines({"prompt": "p", "output": output}), Syntax.JSON_LINES)
    assert row.output == output


def test_templates_may_be_equal() -> None:
    """Only outputs without any field are sure to be one file."""
    text = lines({"prompt": "a", "output": "{n}.png"}, {"prompt": "b", "output": "{n}.png"})
    assert len(rows(text, Syntax.JSON_LINES)) == 2


def test_a_prefix_or_suffix_keeps_an_empty_prompt() -> None:
    """What is sent is what must not be empty."""
    text = "[defaults]\nprompt_suffix = 'flat colours'\n[images.a]\nprompt = ''\n"
    assert one(text).prompt == "flat colours"


def test_rows_without_a_name_are_named_by_their_prompt() -> None:
    """The name is the slug and a digest of the prompt as written; equal prompts are counted."""
    text = "A lighthouse at dawn\na lighthouse at dawn!\nA lighthouse at dawn\n一座灯塔\n🦊\n"
    text += "A lighthouse at dawn\n"
    assert list(rows(text, Syntax.TEXT)) == [
        "a-lighthouse-at-dawn-2fda2f",
        "a-lighthouse-at-dawn-e056e2",
        "a-lighthouse-at-dawn-2fda2f-2",
        "一座灯塔-5d9318",
        "image-0a9f72",
        "a-lighthouse-at-dawn-2fda2f-3",
    ]


def test_a_name_comes_from_the_prompt_alone() -> None:
    """Neither a suffix nor a name given to an equal prompt changes it; a file's text makes it."""
    text = lines(
        {"prompt": "b", "name": "own"},
        {"prompt": "b", "prompt_suffix": ", flat", "seed": 3},
        {"prompt_file": "fox.txt"},
    )
    assert list(rows(text, Syntax.JSON_LINES)) == ["own", "b-3e23e8", "a-fox-5ebbe2"]


PROMPTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).filter(
    lambda text: text == text.strip() and text
)


@given(
    prompts=st.lists(PROMPTS, min_size=1, max_size=6, unique=True),
    other=PROMPTS,
    at=st.integers(0, 6),
    kind=st.sampled_from([Syntax.TEXT, Syntax.JSON_LINES]),
)
def test_names_do_not_depend_on_other_lines(
    prompts: list[str], other: str, at: int, kind: Syntax
) -> None:
    """A line that is put in renames no other one."""
    if other in prompts:
        return

    def names(texts: list[str]) -> dict[str, str]:
        texts = ["what a text begins with is looked at", *texts]
        wrapped = [json.dumps({"prompt": text}) for text in texts]
        text = "\n".join(texts if kind is Syntax.TEXT else wrapped).removeprefix("\ufeff")
        return {row.prompt: row.name for row in manifest("\n" + text, kind).rows}

    before = names(prompts)
    after = names([*prompts[:at], other, *prompts[at:]])
    assert {prompt: after[prompt] for prompt in before} == before


PIECES = st.sampled_from(
    [
        *("[images.", "[defaults]\n", "a]\n", "b]\n", "prompt", " = ", '"', "'", '"""', "'''"),
        *("\n", "{", "}", "[", "]", ",", ".", "references", "output", "images.a", "images.b.2"),
        *("'p'\n", "prompt = 'p'\n", "count = 2\n", "set", "{name}", "{job}", "\\ud800", "\\", "#"),
        *('{"prompt": "p"}\n', '"name": ', ": ", "NaN", "1e999", "\0", "\r", "\ufeff", "\ud800"),
        *("2026-13-45", "0x", "9" * 20, "prompt_file = 'none'\n", "prompt_file = 'odd.txt'\n"),
    ]
)


@pytest.mark.parametrize("kind", Syntax)
@given(text=st.text() | st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_read_or_refused(kind: Syntax, text: str) -> None:
    """No text makes anything but a manifest or a UsageError, a line for each of its mistakes."""
    found = outcome(text, kind)
    if isinstance(found, Manifest):
        names = [row.name for row in found.rows]
        assert names
        assert len(set(names)) == len(names)
    else:
        assert all(line.startswith((f"{NAMES[kind]}:", "… and ")) for line in found)


@pytest.mark.parametrize("depth", [100, 300, 450, 490, 900, 2000, 20_000])
def test_deep_tables_are_refused_not_crashed_on(depth: int) -> None:
    """What is nested deeper than Python can follow is a mistake like any other."""
    text = '{"prompt": "p", "set": ' + '{"a": ' * depth + "1" + "}" * (depth + 1)
    found = outcome(text, Syntax.JSON_LINES)
    if isinstance(found, Manifest):
        assert depth < 1000
        assert "set" in found.rows[0].options
    else:
        assert depth > 100
        assert found in (
            ["jobs.jsonl:1: is nested too deeply"],
            ["jobs.jsonl:1: set must be a table that JSON can hold"],
        )


def many(count: int, field: str = "output") -> str:
    """Write a manifest of many plain rows."""
    head = '[defaults]\nprofile = "work"\nsize = "2K"\nreferences = ["board.png"]\n'
    return head + "".join(
        f'\n[images.row-{i:05}]\nprompt = "a lighthouse, number {i}"\n{field} = "site/{i}.png"\n'
        for i in range(count)
    )


def test_many_rows_are_small() -> None:
    """Ten thousand plain rows take less than 15 MB: they share what the defaults say."""
    text = many(1000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        found = manifest(text).rows
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_500_000
    assert len({id(row.options) for row in found}) == 1
    assert len({id(row.references) for row in found}) == 1


@pytest.mark.parametrize("field", ["output", "outptu", "size = '2K'\nreferences = 'x'\n#"])
def test_many_rows_take_no_square_of_time(field: str) -> None:
    """Ten thousand rows are read, or ten thousand mistakes told, in seconds of the processor."""
    text = many(10_000, field)
    began_at = time.process_time()
    if field == "output":
        assert len(manifest(text).rows) == 10_000
    else:
        assert mistakes(text)[-1] == "… and 9950 more"
    assert time.process_time() - began_at < 10


def test_many_unknown_names_take_no_square_of_time() -> None:
    """Of ten thousand unknown names only those that are shown are looked for."""
    text = lines(
        *(
            {"prompt": "p", "name": f"row-{i:05}", "references": [f"images.rwo-{i:05}"]}
            for i in range(10_000)
        )
    )
    began_at = time.process_time()
    found = mistakes(text, Syntax.JSON_LINES)
    assert time.process_time() - began_at < 10
    assert "did you mean images.row-0" in found[0]


def test_shards_are_the_same_everywhere() -> None:
    """Where a row goes follows from its name by SHA-256, so runners need not agree on more."""
    text = "".join(f"[images.{name}]\nprompt = 'p'\n" for name in ("hero", "fox", "owl", "a", "b"))
    found = manifest(text)
    assert shards(found, 3) == {"hero": 1, "fox": 3, "owl": 3, "a": 2, "b": 3}
    assert set(shards(found, 1).values()) == {1}


@given(
    needs=st.lists(st.none() | st.integers(0, 20), min_size=1, max_size=20),
    count=st.integers(1, 7),
)
def test_shards_cover_all_and_part_no_ties(needs: list[int | None], count: int) -> None:
    """Each row is in one shard, with all that it needs and all that need it."""
    text = lines(
        *(
            {
                "prompt": "p",
                "name": f"r{i}",
                "references": [] if need is None or need >= i else [f"images.r{need}", "a.png"],
            }
            for i, need in enumerate(needs)
        )
    )
    found = manifest(text, Syntax.JSON_LINES)
    placed = shards(found, count)
    assert list(placed) == [row.name for row in found.rows]
    assert set(placed.values()) <= set(range(1, count + 1))
    for row in found.rows:
        for reference in row.references:
            if reference.row is not None:
                assert placed[row.name] == placed[reference.row]


def test_a_group_goes_where_its_smallest_name_goes() -> None:
    """Tied rows, in whatever order and direction, are placed by the first of their names."""
    alone = shards(manifest("[images.a]\nprompt = 'p'\n"), 1000)
    text = lines(
        {"prompt": "p", "name": "z", "references": ["images.m", "images.q"]},
        {"prompt": "p", "name": "a"},
        {"prompt": "p", "name": "m"},
        {"prompt": "p", "name": "q", "references": ["images.a"]},
        {"prompt": "p", "name": "b"},
    )
    placed = shards(manifest(text, Syntax.JSON_LINES), 1000)
    assert {placed[name] for name in "zamq"} == {alone["a"]}
    assert placed["b"] != alone["a"]


def test_shards_share_the_work() -> None:
    """A thousand rows are spread over ten shards without one that is idle or has a third."""
    sizes = list(shards(manifest(many(1000)), 10).values())
    assert all(60 < sizes.count(shard) < 140 for shard in range(1, 11))
