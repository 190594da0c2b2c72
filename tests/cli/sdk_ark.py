"""Buys pictures as a program on Volcengine's or BytePlus' own SDK would; runs where that is.

Takes the SDK's package as its argument; reads `{"client": …, "ask": …}`, the arguments of the SDK's
calls, from stdin; writes JSON.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module

SET = "sequential_image_generation_options"


def main(package: str) -> None:
    """Print what the SDK returns or yields, or the error that it raises."""
    sdk, types = import_module(package), import_module(f"{package}.types.images")
    failure: type[Exception] = import_module(f"{package}._exceptions").ArkAPIError
    given = json.load(sys.stdin)
    ask = given["ask"]
    if SET in ask:
        ask[SET] = types.SequentialImageGenerationOptions(**ask[SET])
    try:
        found = sdk.Ark(**given["client"]).images.generate(**ask)
        answer: dict[str, object] = (
            {"events": [event.to_dict() | {"at": time.monotonic()} for event in found]}
            if ask.get("stream")
            else found.to_dict()
        )
    except failure as error:
        code = getattr(error, "code", None)
        answer = {"error": type(error).__name__, "text": str(error), "code": code}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
