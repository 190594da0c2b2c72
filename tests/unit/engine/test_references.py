"""What is named behind `-i` is a picture, or it is said what it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Profile
from seedream_cli.engine.references import ReferenceLoader

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
