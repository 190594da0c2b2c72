"""Buys pictures as a program on Volcengine's own SDK would; runs where that is installed.

Reads `{"client": …, "ask": …}`, the arguments of the SDK's calls, from stdin; writes JSON.
"""

from __future__ import annotations

import json
import sys
import time

from volcenginesdkarkruntime import (  # type: ignore[import-not-found,unused-ignore]  # in a venv of its own
    Ark,
)
from volcenginesdkarkruntime._exceptions import (  # type: ignore[import-not-found,unused-ignore]  # likewise
    ArkAPIError,
)
from volcenginesdkarkruntime.types.images import (  # type: ignore[import-not-found,unused-ignore]  # likewise
    SequentialImageGenerationOptions,
)

SET = "sequential_image_generation_options"


def main() -> None:
    """Print what the SDK returns or yields, or the error that it raises."""
    given = json.load(sys.stdin)
    ask = given["ask"]
    if SET in ask:
        ask[SET] = SequentialImageGenerationOptions(**ask[SET])
    try:
        found = Ark(**given["client"]).images.generate(**ask)
        answer: dict[str, object] = (
            {"events": [event.to_dict() | {"at": time.monotonic()} for event in found]}
            if ask.get("stream")
            else found.to_dict()
        )
    except ArkAPIError as error:
        answer = {"error": type(error).__name__, "text": str(error), "code": error.code}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
