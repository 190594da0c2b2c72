"""Buys one picture as a program on the `openai` SDK would; runs where that is installed.

Reads `{"client": …, "ask": …}`, the arguments of the SDK's calls, from stdin, and the `files` of an
edit; writes JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from openai import (  # type: ignore[import-not-found,unused-ignore]  # in a venv of its own
    APIError,
    OpenAI,
)


def main() -> None:
    """Print what the SDK returns, or the error that it raises."""
    given = json.load(sys.stdin)
    images, files = OpenAI(**given["client"]).images, [Path(name) for name in given["files"]]
    try:
        if files:
            parts = [(each.name, each.read_bytes(), "image/png") for each in files]
            answer = images.edit(
                image=parts if len(parts) > 1 else parts[0], **given["ask"]
            ).to_dict()
        else:
            answer = images.generate(**given["ask"]).to_dict()
    except APIError as error:
        answer = {"error": type(error).__name__, "text": str(error), "code": error.code}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
