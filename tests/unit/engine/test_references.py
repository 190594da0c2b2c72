"""What is named behind `-i` is a picture, or it is said what it is."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from support.pictures import PNG, chunk, png

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Profile
from seedream_cli.engine.references import (
    LoadedReference,
    ReferenceLoader,
    check_references,
    encode_references,
)
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from pathlib import Path

    from seedream_cli.storage.ledger.ledger import Ledger

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def refusal(path: Path, content: bytes) -> UsageError:
    """Return what is said of a reference that holds this."""

    def ledger() -> Ledger:
        raise AssertionError("a file needs no ledger")

    path.write_bytes(content)
    profile = Profile(name="ark", provider="ark", base_url="https://ark.test")
    loader = ReferenceLoader(ledger, profile, bytes, datetime.now(UTC))
    with pytest.raises(UsageError) as caught:
        loader.load([str(path)])
    return caught.value


def test_a_git_lfs_pointer_is_told(tmp_path: Path) -> None:
    """A checkout without its large files says so, and how to get them."""
    path = tmp_path / "style.png"
    error = refusal(path, POINTER)
    assert error.message == f"{path} is a Git LFS pointer: the picture itself is not here"
    assert error.hint == "git lfs pull"


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "is empty"), (b"notes", "is no picture"), (b"version 2\n", "is no picture")],
)
def test_what_is_no_picture_is_told(tmp_path: Path, content: bytes, what: str) -> None:
    """Any other text is no pointer."""
    path = tmp_path / "style.png"
    assert refusal(path, content).message == f"{path} {what}"


def loaded(name: str) -> LoadedReference:
    """Load what was typed behind `-i`."""

    def ledger() -> Ledger:
        raise AssertionError("it needs no ledger")

    profile = Profile(name="ark", provider="ark", base_url="https://ark.test")
    (found,) = ReferenceLoader(ledger, profile, bytes, datetime.now(UTC)).load([name])
    return found


@pytest.mark.parametrize(
    "head", ["data:image/png", "DATA:image/PNG", "data:", "data:image/jpeg;x=1"]
)
def test_a_picture_may_come_as_data(head: str) -> None:
    """A `data:` URL is the picture in it, whatever it calls it; only its head is written down."""
    found = loaded(f"{head};base64,{b64encode(PNG).decode()}")
    assert found.local is not None
    assert (found.local.data, found.local.media_type) == (PNG, "image/png")
    assert found.source == f"{head};base64,…"
    (inline,) = encode_references([found], PROVIDERS["ark"])
    assert inline.url.startswith("data:image/png;base64,")
    (uploaded,) = encode_references([found], PROVIDERS["kie"])
    assert uploaded.url == f"upload:{found.digest}"
    with pytest.raises(UsageError, match="by URL only"):
        encode_references([found], PROVIDERS["uniall"])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("data:image/png,abc", "as base64"),
        ("data:image/png;base64,!!!", "is no base64"),
        ("data:text/plain;base64,aGVsbG8=", "is no picture"),
        ("ftp://example.com/a.png", "a web address"),
        ("http://", "a web address"),
        ("http://me:pw@example.com/a.png", "a web address"),
    ],
)
def test_what_is_no_reference_is_told(name: str, what: str) -> None:
    """Data that is no base64 or no picture, and addresses that nobody can ask."""
    with pytest.raises(UsageError, match=what):
        loaded(name)


def test_a_plain_address_is_passed_on() -> None:
    """Providers fetch from http and https addresses alike."""
    found = loaded("http://example.com/a.png")
    assert (found.url, found.local) == ("http://example.com/a.png", None)


def test_a_transparent_background_needs_a_transparent_pixel() -> None:
    """Pro takes one PNG that lets something through; what is opaque is refused before paying."""
    model = PROVIDERS["ark"].models["doubao-seedream-5-0-pro-260628"]
    clear = model.narrow({"background": "transparent"})
    found = loaded(f"data:image/png;base64,{b64encode(png(64, 64)).decode()}")
    mistakes, _ = check_references([found], clear)
    words = "has no transparent pixel, and a transparent background needs one"
    assert mistakes == [f"{found.source} {words}"]
    masked = png(64, 64, chunk(b"tRNS", b"\0\0"))
    found = loaded(f"data:image/png;base64,{b64encode(masked).decode()}")
    assert check_references([found], clear) == ([], [])
    assert check_references([found], model) == ([], [])
