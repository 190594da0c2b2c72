"""Buys pictures as a program on LiteLLM would; runs where that is installed.

Reads the arguments of its call from stdin; writes JSON.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module


def main() -> None:
    """Print what LiteLLM returns, or the error that it raises."""
    litellm, openai = import_module("litellm"), import_module("openai")
    failure: type[Exception] = openai.APIError
    try:
        answer = litellm.image_generation(**json.load(sys.stdin)).model_dump()
    except failure as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    # Advice of its own may stand before it, without an end of line.
    sys.stdout.write("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
