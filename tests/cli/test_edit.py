"""`seedream edit` and sets: references on the wire, and images kept as they come."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

UPLOADS = {
    "kie": "file-stream-upload",
    "kie-seedream": "file-stream-upload",
    "fal": "/fal/files/",
    "wavespeed": "/media/upload/binary",
}
URL = "https://example.com/a.png"
URLS_ONLY = ("uniall", "seedreams")
TAKES_FILES = (
    *("ark", "byteplus", "kie", "kie-seedream"),
    *("fal", "replicate", "openrouter", "wavespeed"),
)


@pytest.fixture
def photo(cli: Cli) -> Path:
    """Return a picture in the working folder."""
    ran = cli("generate", "a cat", "--sandbox", "-o", "photo.jpg", "-q")
    assert ran.code == 0, ran.err
    return cli.work / "photo.jpg"


def _submit(server: Server) -> dict[str, object]:
    """Return the body of the one paid request."""
    posts = [(str(entry["path"]), entry["body"]) for entry in server.submits()]
    (body,) = (body for path, body in posts if "upload" not in path and "/files" not in path)
    assert isinstance(body, dict)
    return body


def _sent(body: dict[str, object]) -> list[str]:
    """Return the references in a paid body, whatever its provider calls them."""
    inner = body.get("input", body)
    assert isinstance(inner, dict)
    keys = ("image", "images", "image_urls", "input_image_url", "image_input", "input_references")
    for key in keys:
        if key in inner:
            value = inner[key]
            items = value if isinstance(value, list) else [value]
            return [item["image_url"]["url"] if isinstance(item, dict) else item for item in items]
    return []


@pytest.mark.parametrize("provider", TAKES_FILES)
def test_a_local_file_reaches_the_provider(
    cli: Cli, server: Server, photo: Path, provider: str
) -> None:
    """A file travels inline, or by an upload before the one paid request."""
    cli.configure(server)
    ran = cli("edit", "make it night", "-i", photo.name, "-p", provider)
    assert ran.code == 0, ran.err
    (reference,) = _sent(_submit(server))
    if provider in {"ark", "byteplus", "openrouter"}:
        assert reference.startswith("data:image/jpeg;base64,")
    elif provider == "replicate":
        digest = hashlib.sha256(photo.read_bytes()).hexdigest()
        assert reference == f"{server.origin}/replicate/files/{digest[:26]}"
    else:
        assert hashlib.sha256(photo.read_bytes()).hexdigest()[:24] in reference
        assert any(UPLOADS[provider] in str(entry["path"]) for entry in server.log())


def test_an_upload_is_used_again(cli: Cli, server: Server, photo: Path) -> None:
    """The same bytes are uploaded once within a day."""
    cli.configure(server)
    for prompt in ("night", "day"):
        assert cli("edit", prompt, "-i", photo.name, "-p", "kie").code == 0
    uploads = [
        entry
        for entry in server.log()
        if "upload" in str(entry["path"]) and entry["method"] == "POST"
    ]
    assert len(uploads) == 1


@pytest.mark.parametrize("provider", URLS_ONLY)
def test_a_local_file_is_refused_where_only_urls_are_taken(
    cli: Cli, server: Server, photo: Path, provider: str
) -> None:
    """UniAll and seedreams.app take URLs only: exit 2, nothing sent, and the way on."""
    cli.configure(server)
    ran = cli("edit", "night", "-i", photo.name, "-p", provider, "--json")
    assert ran.code == 2
    assert "-p NAME" in ran.err
    assert server.submits() == []


@pytest.mark.parametrize("provider", [*URLS_ONLY, *TAKES_FILES])
def test_a_url_is_passed_on_as_it_is(cli: Cli, server: Server, provider: str) -> None:
    """A reference by URL goes to every provider byte for byte."""
    cli.configure(server)
    ran = cli("edit", "night", "-i", URL, "-p", provider)
    assert ran.code == 0, ran.err
    assert _sent(_submit(server)) == [URL]


@pytest.mark.parametrize(
    "provider",
    ["ark", "kie", "uniall", "seedreams", "fal", "replicate", "openrouter", "wavespeed"],
)
def test_two_references_keep_their_order(cli: Cli, server: Server, provider: str) -> None:
    """Image 1 and image 2 of the prompt are the first and the second `-i`."""
    cli.configure(server)
    other = "https://example.com/b.png"
    ran = cli("edit", "the person of image 1 in image 2", "-i", URL, "-i", other, "-p", provider)
    assert ran.code == 0, ran.err
    assert _sent(_submit(server)) == [URL, other]


@pytest.mark.parametrize(
    "provider",
    [
        *("ark", "byteplus", "kie", "kie-seedream", "uniall", "seedreams"),
        *("fal", "replicate", "wavespeed"),
    ],
)
@pytest.mark.parametrize("name", ["job:last", "@last", "job:last.1"])
def test_the_last_picture_is_edited_by_its_url(
    cli: Cli, server: Server, provider: str, name: str
) -> None:
    """`job:last` uses the provider's own URL while it lives; status says what came from what."""
    cli.configure(server)
    (first,) = cli("generate", "a fox", "-p", provider, "--json").objects
    server.reset()
    ran = cli("edit", "at night", "-i", name, "-p", provider, "--json")
    assert ran.code == 0, ran.err
    (reference,) = _sent(_submit(server))
    assert reference.startswith(f"{server.origin}/")
    assert ran.objects[0]["request"]["references"] == [f"job:{first['job']}.1"]  # type: ignore[index]


def test_a_picture_of_another_provider_travels_as_a_file(cli: Cli, server: Server) -> None:
    """Another provider's URL is not used: the saved file goes instead."""
    cli.configure(server)
    assert cli("generate", "a fox", "-p", "kie").code == 0
    ran = cli("edit", "at night", "-i", "job:last", "-p", "ark")
    assert ran.code == 0, ran.err
    bodies = [entry["body"] for entry in server.submits()]
    assert str(bodies[-1]["image"]).startswith("data:image/png;base64,")  # type: ignore[index]


def test_pictures_go_through_pipes(cli: Cli) -> None:
    """`generate -o -` into `edit -i -`."""
    first = cli("generate", "a cat", "--sandbox", "-o", "-")
    ran = cli("edit", "at night", "-i", "-", "--sandbox", "-o", "night.jpg", stdin=first.out)
    assert ran.code == 0, ran.err
    assert ran.lines == ["night.jpg"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"<html>", "no picture"), (b"\xff\xd8\xff\xe0" + b"x" * 50, "not whole")],
)
def test_a_bad_reference_is_not_sent(cli: Cli, server: Server, content: bytes, words: str) -> None:
    """What is no whole picture is exit 2, nothing sent."""
    cli.configure(server)
    cli.work.mkdir(exist_ok=True)
    (cli.work / "bad.jpg").write_bytes(content)
    ran = cli("edit", "night", "-i", "bad.jpg", "-p", "ark")
    assert ran.code == 2
    assert words in ran.err
    assert server.log() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["edit", "night"],
        ["edit", "night", "-i", "missing.jpg"],
        ["edit", "night", "-i", "ftp://example.com/a.png"],
        ["edit", "night", "-i", "data:image/png,abc"],
        ["edit", "night", "-i", "job:last"],
        ["edit", "night", "-i", "-", "-i", "-"],
        ["edit", "night", *["-i", URL] * 15],
        ["generate", "x", "-m", "seedream/4.5-edit", "-p", "kie"],
    ],
)
def test_what_cannot_be_edited_is_exit_2(cli: Cli, server: Server, arguments: list[str]) -> None:
    """No image, a missing one, no web address, none made yet, too many: nothing is sent."""
    cli.configure(server)
    more = [] if "-p" in arguments else ["-p", "ark"]
    ran = cli(*arguments, *more, "--json")
    assert ran.code == 2
    assert ran.objects[0]["error"]["code"] == "usage"  # type: ignore[index]
    assert server.log() == []


@pytest.mark.parametrize("provider", ["ark", "byteplus"])
def test_a_set_is_saved_image_by_image(cli: Cli, start_server: StartServer, provider: str) -> None:
    """Each image of a streamed set is on disk before the next ones are made."""
    server = start_server(delay=0.5)
    cli.configure(server)
    ran = cli("generate", "four seasons", "--series", "4", "-p", provider, "-o", "s.{ext}")
    assert ran.code == 0, ran.err
    assert ran.lines == ["s-1.jpg", "s-2.jpg", "s-3.jpg", "s-4.jpg"]
    times = [path.stat().st_mtime for path in cli.pictures()]
    assert times == sorted(times)
    # A second and a half lie between them; a busy machine may be late for the first.
    assert times[3] - times[0] > 0.5
    body = _submit(server)
    assert body["sequential_image_generation"] == "auto"
    assert body["stream"] is True


def test_a_cut_set_keeps_what_came(cli: Cli, start_server: StartServer) -> None:
    """A stream that is cut after two of four: two files, exit 5, the job unknown."""
    server = start_server("cut")
    cli.configure(server)
    ran = cli("generate", "four seasons", "--series", "4", "-p", "ark", "--json")
    assert ran.code == 5, ran.err
    (found,) = ran.objects
    assert (found["state"], found["charge"]) == ("unknown", "maybe")
    images = found["images"]
    assert isinstance(images, list)
    assert [bool(image["saved_at"]) for image in images] == [True, True]
    assert len(cli.pictures()) == 2
    assert len(server.submits()) == 1


def test_a_failed_member_keeps_the_others(cli: Cli, start_server: StartServer) -> None:
    """A member that fails: three files, exit 3, the missing image's error in the JSON."""
    server = start_server("partial")
    cli.configure(server)
    ran = cli("generate", "four seasons", "--series", "4", "-p", "ark", "--json")
    assert ran.code == 3, ran.err
    (found,) = ran.objects
    images = found["images"]
    assert isinstance(images, list)
    assert len(cli.pictures()) == 3
    assert [image["error"] and image["error"]["code"] for image in images] == [
        None,
        "content_policy",
        None,
        None,
    ]
    assert re.search(r"[0-9a-z]{8} is not complete", ran.err)


def test_what_a_set_lacks_is_named_and_costs_nothing(cli: Cli, start_server: StartServer) -> None:
    """Of a batch's set the missing picture has its own name, and those that came have the cost."""
    cli.configure(start_server("partial"))
    cli.work.mkdir(parents=True, exist_ok=True)
    (cli.work / "sets.toml").write_text('[images.icons]\nprompt = "four icons"\nseries = 4\n')
    ran = cli("generate", "--batch", "sets.toml", "-p", "ark", "-m", "4")
    assert ran.code == 3, ran.err
    assert re.search(r"icons-2 was not made: .*; nothing was charged", ran.err)
    assert ran.err.count("icons-1 ") == 1
    assert ran.err.count("(0.20 CNY") == 3
    assert "3 made, 0 current, 1 failed; cost 0.60 CNY" in ran.err


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("kie", "bytedance/seedream-v4-text-to-image"),
        ("seedreams", "bytedance/seedream-v4"),
        ("fal", "bytedance/seedream/v5/lite/text-to-image"),
        ("wavespeed", "bytedance/seedream-v4.5/sequential"),
        ("replicate", "bytedance/seedream-4.5"),
        ("replicate", "bytedance/seedream-4"),
        ("replicate", "bytedance/seedream-5-lite"),
    ],
)
def test_a_polled_set_is_one_request(cli: Cli, server: Server, provider: str, model: str) -> None:
    """Where tasks are polled, a set is one job, too."""
    cli.configure(server)
    ran = cli("generate", "x", "--series", "3", "-p", provider, "-m", model, "-o", "s.{ext}")
    assert ran.code == 0, ran.err
    assert len(ran.lines) == 3
    assert len(server.submits()) == 1


def test_a_set_on_a_model_without_sets_is_exit_2(cli: Cli) -> None:
    """`--series` is not dropped in silence."""
    ran = cli("generate", "x", "--series", "3", "--sandbox", "-m", "doubao-seedream-5-0-pro-260628")
    assert ran.code == 2
    assert "models that do" in ran.err


def test_inline_answers_are_decoded_to_disk(cli: Cli) -> None:
    """A base64 answer, asked for with `--set`, is a picture on disk like any other."""
    ran = cli("generate", "x", "--sandbox", "--set", "response_format=b64_json", "--json")
    assert ran.code == 0, ran.err
    images = ran.objects[0]["images"]
    assert isinstance(images, list)
    (image,) = images
    data = (cli.work / image["path"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == image["sha256"]


def test_the_chain_feels_natural(cli: Cli) -> None:
    """Generate four, edit the third, edit that again; status says what came from what."""
    assert cli("generate", "a fox", "-n", "4", "--sandbox", "-q").code == 0
    assert cli("edit", "in snow", "-i", "job:last.3", "--sandbox", "-q").code == 0
    ran = cli("edit", "at night", "-i", "job:last", "--sandbox", "-q")
    assert ran.code == 0, ran.err
    shown = cli("status", "last", "--offline")
    assert re.search(r"references job:[0-9a-z]{8}\.1", shown.out.decode())


def test_a_dry_run_of_an_edit_is_readable(cli: Cli, photo: Path) -> None:
    """The body of a rehearsal shows inline images shortened."""
    started = time.monotonic()
    ran = cli("edit", "night", "-i", photo.name, "-p", "ark", "--dry-run", "--json")
    assert ran.code == 0, ran.err
    assert len(ran.out) < 2000
    assert json.loads(ran.out)["body"]["image"].startswith("data:image/jpeg;base64,")
    assert time.monotonic() - started < 30


def test_layers_are_saved_and_named(cli: Cli, photo: Path) -> None:
    """An answer in layers is several files, each with its layer's name."""
    ran = cli(
        *("edit", "take it apart", "-i", photo.name, "--sandbox", "-o", "l.{ext}"),
        *("-m", "doubao-seedream-5-0-pro-260628", "--set", "layer_decomposition=true"),
    )
    assert ran.code == 0, ran.err
    assert [line.partition(".")[0] for line in ran.lines] == [
        "l-1-base",
        "l-2-sun",
        "l-3-hills",
        "l-4-foreground",
    ]


def test_layers_on_kie(cli: Cli, server: Server) -> None:
    """KIE's layer models take one image and answer with several."""
    cli.configure(server)
    ran = cli("edit", "", "-i", URL, "-p", "kie", "-m", "seedream/5-pro-layer-decomposition")
    assert ran.code == 0, ran.err
    assert len(ran.lines) == 4


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        ("doubao-seedream-5-0-flash-260915", "optimize_prompt_options.mode=fast"),
        ("doubao-seedream-5-0-pro-260628", "background=blue"),
        ("doubao-seedream-5-0-pro-260628", "stream=true"),
    ],
)
def test_what_a_model_answers_with_an_error_is_not_sent(cli: Cli, model: str, setting: str) -> None:
    """A field or value that the model rejects is exit 2."""
    ran = cli("generate", "x", "--sandbox", "-m", model, "--set", setting)
    assert ran.code == 2, ran.err


def test_more_references_than_the_default_takes(cli: Cli) -> None:
    """Twelve references go to the model that takes them, and that is said; fifteen to nobody."""
    images = [word for k in range(12) for word in ("-i", f"https://example.com/{k}.png")]
    ran = cli("edit", "x", *images, "-p", "ark", "--sandbox", "--json")
    assert (ran.code, ran.objects[0]["model"]) == (0, "doubao-seedream-4-0-20260415"), ran.err
    assert "takes at most 10, so doubao-seedream-4-0-20260415 stands in" in ran.err
    ran = cli("edit", "x", *images, *images[:6], "-p", "ark", "--dry-run")
    assert (ran.code, "takes at most 14" in ran.err) == (2, True)
