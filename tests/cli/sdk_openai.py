"""Buys one picture as a program on the `openai` SDK would; runs where that is installed.

Reads `{"client": …, "ask": …}`, the arguments of the SDK's calls, from stdin; writes JSON.
"""

from __future__ import annotations

import json
import sys

from openai import (  # type: ignore[import-not-found,unused-ignore]  # in a venv of its own
    APIError,
    OpenAI,
)


def main() -> None:
    """Print what the SDK returns, or the error that it raises."""
    given = json.load(sys.stdin)
    try:
        answer = OpenAI(**given["client"]).images.generate(**given["ask"]).to_dict()
    except APIError as error:
        answer = {"error": type(error).__name__, "text": str(error), "code": error.code}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
