"""File names say what was asked for, in any script, and never lead anywhere else."""

from __future__ import annotations

import json
import posixpath
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.formats import extension_of_format, format_of_extension
from seedream_cli.storage.files.naming import (
    FIELDS,
    Destination,
    aside,
    expand,
    fields_of,
    plan,
    predict,
    sidecar_path,
    slug,
)

BASE = "/home/ada"
AT = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
VALUES = fields_of(
    prompt="A lighthouse at dawn",
    job="01k3f9zq",
    n=2,
    at=AT,
    model="seedream/4.5-text-to-image",
    provider="kie",
    width=2048,
    height=1024,
)


def name(template: str, ext: str = "jpg", **values: str | int | None) -> str:
    """Expand one template with the usual values."""
    return expand(plan(template, base=BASE), fields={**VALUES, **values}, ext=ext)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("A lighthouse at dawn", "a-lighthouse-at-dawn"),
        ("  --A fox's  den!!  ", "a-foxs-den"),
        ("it\u2019s 5 o\u2019clock", "its-5-oclock"),
        ("一座灯塔", "一座灯塔"),
        ("маяк на рассвете", "маяк-на-рассвете"),
        ("हिन्दी चित्र", "हिन्दी-चित्र"),
        ("\uff21\uff22\uff23\u3000\ufb01ne \u00b2", "abc-fine-2"),
        ("مرحبا ١٢٣", "مرحبا-١٢٣"),
        ("a\u200bb soft\u00adly", "ab-softly"),
        ("e\u200d\u0301", "\u00e9"),
        ("🦊🦊🦊", "image"),
        ("", "image"),
        ("\u0301\u0302", "image"),
        ("1\ufe0f\u20e3 first", "1-first"),
        ("../../etc/passwd", "etc-passwd"),
        ("-rf /", "rf"),
        ("a\nb\tc\0d\x1b[31me", "a-b-c-d-31me"),
        ("odd \udcff byte", "odd-byte"),
    ],
)
def test_a_slug_is_the_prompt_in_letters_and_digits(prompt: str, expected: str) -> None:
    """Letters and digits of every script stay, all else is a dash, and it is never empty."""
    assert slug(prompt) == expected


def test_a_slug_is_cut_without_a_dash_at_the_end() -> None:
    """A cut that falls on a word's end leaves no dash behind."""
    assert slug("a" * 39 + " tail") == "a" * 39
    assert slug("a" * 50) == "a" * 40


def test_a_slug_is_not_cut_between_a_letter_and_its_marks() -> None:
    """A syllable whose vowel sign does not fit goes as a whole."""
    assert slug("a" * 39 + "कि") == "a" * 39
    assert slug("a" * 38 + "कि") == "a" * 38 + "कि"


def test_a_slug_counts_bytes_too() -> None:
    """Forty characters of a script that takes three bytes each are too many."""
    assert len(slug("灯" * 40).encode()) == 99


@given(st.text(max_size=80))
def test_a_slug_always_makes_a_harmless_name(prompt: str) -> None:
    """Whatever the prompt, a slug is short, lower case, free of separators and controls."""
    text = slug(prompt)
    assert 0 < len(text) <= 40
    assert len(text.encode()) <= 100
    assert text == unicodedata.normalize("NFKC", text)
    assert "--" not in text
    assert text[0] != "-" != text[-1]
    assert all(char == "-" or unicodedata.category(char)[0] in "LNM" for char in text)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, "a-lighthouse-at-dawn-01k3f9zq.jpg"),
        ("cat.png", "cat.png"),
        ("cat.JPEG", "cat.JPEG"),
        ("art", "art.jpg"),
        ("seedream-4.5", "seedream-4.5.jpg"),
        (".hidden", ".hidden.jpg"),
        ("out/", "out/a-lighthouse-at-dawn-01k3f9zq.jpg"),
        ("..", "../a-lighthouse-at-dawn-01k3f9zq.jpg"),
        ("/abs//x.webp", "/abs/x.webp"),
        ("./{date}/{time}-{n:03}.{ext}", "./2026-11-21/101500-002.jpg"),
        ("{model}/{provider}.{ext}", "seedream-4.5-text-to-image/kie.jpg"),
        ("{slug}-{width}x{height}", "a-lighthouse-at-dawn-2048x1024.jpg"),
        ("{{n}}-{{{n}}}.png", "{n}-{2}.png"),
        ("my--file__x.png", "my--file__x.png"),
        ("{slug}.{job}", "a-lighthouse-at-dawn.01k3f9zq.jpg"),
    ],
)
def test_a_plan_expands_to_the_path_as_given(output: str | None, expected: str) -> None:
    """Names stay as written, fields are filled, and only a missing extension is added."""
    assert expand(plan(output, base=BASE), fields=VALUES, ext="jpg") == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{slug}-{seed}-{n}.{ext}", "a-lighthouse-at-dawn-2.jpg"),
        ("{seed}-{n}.{ext}", "2.jpg"),
        ("{n}_{seed}.{ext}", "2.jpg"),
        ("{n}-{seed}_{seed}-x.png", "2-x.png"),
        ("a{seed}b.png", "ab.png"),
        ("a - {seed} - b.png", "a - b.png"),
        ("{seed}.png", "image.png"),
        ("{seed}/x.png", "x.png"),
        ("/{seed}/x.png", "/x.png"),
        ("{seed}//x.png", "x.png"),
        ("..{seed}/x.png", "x.png"),
        ("keep--this/{n}-{seed}.png", "keep--this/2.png"),
    ],
)
def test_an_unset_field_leaves_no_trace(template: str, expected: str) -> None:
    """Where there is no seed, its separators and folders go too, and none that was typed."""
    assert name(template) == expected


def test_a_seed_of_zero_is_set() -> None:
    """Zero is a value."""
    assert name("{seed}-{n}.png", seed=0) == "0-2.png"


@pytest.mark.parametrize(
    "value",
    [
        "..",
        ".",
        "/",
        "../../x",
        "/etc/passwd",
        "a/../b",
        "x\0y",
        "\x1b[2J",
        "-rf",
        "~",
        "a\nb",
        "\\..",
    ],
)
def test_a_value_never_makes_a_path(value: str) -> None:
    """A hostile model id stays one visible name inside the folder."""
    path = name("out/{model}/{model}.png", model=value)
    assert path.startswith("out/")
    assert posixpath.normpath(path) == path
    assert not any(unicodedata.category(char)[0] == "C" for char in path)
    assert not any(part.startswith("-") for part in path.split("/"))


@given(
    st.dictionaries(
        st.sampled_from(FIELDS), st.none() | st.integers(0, 10**9) | st.text(max_size=300)
    ),
    st.lists(
        st.sampled_from([f"{{{field}}}" for field in FIELDS] + ["-", ".", "_", "x"]), min_size=1
    ),
)
def test_no_mixture_of_fields_leaves_its_folder(
    values: dict[str, str | int | None], pieces: list[str]
) -> None:
    """Any template below a folder expands to one name in it that a file system takes."""
    path = expand(
        Destination(template="in/" + "".join([*pieces, "{n}", ".png"]), base=BASE),
        fields=values,
        ext="png",
    )
    folder, _, last = path.rpartition("/")
    assert folder == "in"
    assert last not in {"", ".", ".."}
    assert len(last.encode("utf-8", "surrogatepass")) <= 255
    assert last.endswith(".png")


def test_a_long_name_is_cut_where_it_is_longest() -> None:
    """What tells names apart, and the extension, survive the cut to 255 bytes."""
    path = name("{model}-{job}-{n}.{ext}", model="灯" * 200)
    assert len(path.encode()) <= 255
    assert path.startswith("灯灯")
    assert path.endswith("-01k3f9zq-2.jpg")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("cat.png", "cat-{n}.png"),
        ("art", "art-{n}.{ext}"),
        ("{slug}.{ext}", "{slug}-{n}.{ext}"),
        ("{slug}-{job}.{ext}", "{slug}-{job}-{n}.{ext}"),
        ("{n}-{slug}.{ext}", "{n}-{slug}.{ext}"),
        ("{n:02}/cat.png", "{n:02}/cat.png"),
        ("a.b/cat", "a.b/cat-{n}.{ext}"),
    ],
)
def test_several_pictures_get_numbers(output: str, expected: str) -> None:
    """Where more than one picture may come, a name without `{n}` gets one before its extension."""
    made = plan(output, base=BASE, many=True)
    assert made.template == expected
    assert made.is_many


def test_the_default_name_gets_a_number_only_where_one_job_makes_several() -> None:
    """Jobs tell default names apart; pictures of one job need their number."""
    assert plan(None, base=BASE, many=True).template == "{slug}-{job}.{ext}"
    assert plan(None, base=BASE, many_per_job=True).template == "{slug}-{job}-{n}.{ext}"
    assert plan("o/", base=BASE, many_per_job=True).template == "o/{slug}-{job}-{n}.{ext}"


def test_the_extension_of_a_named_file_asks_for_a_format() -> None:
    """`cat.PNG` asks for PNG; a bare name, a folder and `{ext}` ask for nothing."""
    assert plan("cat.PNG", base=BASE).given_extension == "png"
    assert plan("cat.jpg", base=BASE, many=True).given_extension == "jpg"
    for output in (None, "art", "out/", "{slug}.{ext}", "v4.5"):
        assert plan(output, base=BASE).given_extension is None


def test_an_existing_file_without_an_extension_is_meant_itself() -> None:
    """`-o art --overwrite` over a file `art` does not write `art.jpg`."""
    made = plan("art", base=BASE, is_file=True)
    assert expand(made, fields=VALUES, ext="jpg") == "art"


def test_an_existing_folder_is_taken_literally() -> None:
    """Braces in the name of a folder that exists are no fields."""
    made = plan("odd{x}", base=BASE, is_folder=True)
    assert expand(made, fields=VALUES, ext="jpg") == "odd{x}/a-lighthouse-at-dawn-01k3f9zq.jpg"


@pytest.mark.parametrize(
    "output",
    [
        "{foo}.png",
        "{}.png",
        "{n",
        "n}",
        "{slug!r}",
        "{slug.x}",
        "{slug[0]}",
        "{seed:03}",
        "{n:x}",
        "{a/b}",
    ],
)
def test_a_brace_without_a_meaning_is_a_usage_error(output: str) -> None:
    """A mistyped field is refused before anything is sent, with the fields that exist."""
    with pytest.raises(UsageError) as caught:
        plan(output, base=BASE)
    assert "{slug}" in caught.value.hint
    assert "{{" in caught.value.hint


@pytest.mark.parametrize("output", ["", "a\0b"])
def test_a_path_that_no_system_takes_is_a_usage_error(output: str) -> None:
    """Nothing, and a NUL, are no path."""
    with pytest.raises(UsageError):
        plan(output, base=BASE)


def test_names_that_wait_for_the_picture_are_not_known() -> None:
    """Only a name whose every field is settled can be checked before sending."""
    early = {**VALUES, "width": None}
    assert predict(plan("cat.png", base=BASE), fields=early) == "cat.png"
    assert predict(plan("{job}.{ext}", base=BASE), fields=early) is None
    assert predict(plan("{job}.{ext}", base=BASE), fields=early, ext="jpg") == "01k3f9zq.jpg"
    assert predict(plan("{width}.png", base=BASE), fields=early) is None
    assert predict(plan("{width}.png", base=BASE), fields=VALUES) == "2048.png"
    assert predict(plan("x-{seed}.png", base=BASE), fields=early) == "x.png"


def test_a_plan_survives_the_ledger() -> None:
    """What was written as JSON reads back the same, odd bytes included."""
    made = plan("\udcff/{n}.jpg", base=BASE, many=True)
    assert Destination.from_json(json.loads(json.dumps(made.to_json()))) == made
    with pytest.raises(StorageError):
        Destination.from_json({"template": 3})


def test_relative_names_are_recorded_from_the_folder_of_the_command() -> None:
    """A path is printed as given and recorded absolute."""
    made = plan("x.png", base=BASE)
    assert made.absolute("x.png") == "/home/ada/x.png"
    assert made.absolute("/x.png") == "/x.png"


def test_dates_are_utc() -> None:
    """A clock elsewhere does not change a name."""
    there = datetime(2026, 11, 22, 1, 15, 9, tzinfo=timezone(timedelta(hours=9)))
    values = fields_of(prompt="x", job="j", n=1, at=there, model="m", provider="p")
    assert (values["date"], values["time"]) == ("2026-11-21", "161509")
    assert set(values) == set(FIELDS) - {"ext"}


def test_a_taken_name_stands_beside() -> None:
    """The job's id, then a count, goes before the extension, in 255 bytes."""
    assert aside("a/cat.png", "01k3f9zq") == "a/cat-01k3f9zq.png"
    assert aside("a/cat.png", "01k3f9zq", 2) == "a/cat-01k3f9zq-2.png"
    assert aside("art", "j") == "art-j"
    long = aside("x" * 251 + ".png", "01k3f9zq")
    assert len(long) == 255
    assert long.endswith("x-01k3f9zq.png")


def test_a_sidecar_has_the_name_of_its_picture() -> None:
    """Recipe and receipt lie beside it, as `NAME.json`."""
    assert sidecar_path("a.b/cat.png") == "a.b/cat.json"
    assert sidecar_path("a.b/art") == "a.b/art.json"


def test_extensions_and_formats_know_each_other() -> None:
    """Usual spellings lead to a format, and back to its usual spelling."""
    for extension in ("png", "jpg", "webp", "gif", "bmp", "tif", "heic", "avif"):
        found = format_of_extension(extension)
        assert found is not None
        assert extension_of_format(found) == extension
    assert format_of_extension(".JPEG") == "jpeg"
    assert format_of_extension("txt") is None
