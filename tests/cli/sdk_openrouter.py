"""Buys one picture as a program on the `openrouter` SDK would; runs where that is installed.

Reads `{"client": …, "ask": …}`, the arguments of the SDK's calls, from stdin; writes JSON.
"""

from __future__ import annotations

import json
import sys

from openrouter import OpenRouter  # type: ignore[import-not-found,unused-ignore]
from openrouter.errors import OpenRouterError  # type: ignore[import-not-found,unused-ignore]


def main() -> None:
    """Print what the SDK returns, or the error that it raises."""
    given = json.load(sys.stdin)
    with OpenRouter(**given["client"]) as client:
        try:
            found = client.images.generate(**given["ask"])
            answer = json.loads(found.model_dump_json())
        except OpenRouterError as error:
            answer = {"error": type(error).__name__, "text": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
