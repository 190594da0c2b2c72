"""Buys a picture as a program on `fal-client` or `wavespeed` would; runs where that is installed.

Reads the SDK's name, its address and key, and what to ask for from stdin; writes JSON.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def ask_fal(origin: str, key: str, model: str, given: dict[str, Any]) -> object:
    """Return what fal's client returns; its addresses are constants, and https without an end."""
    module = import_module("fal_client.client")
    vars(module)["QUEUE_URL_FORMAT"] = f"{origin}/fal/"
    return module.SyncClient(key=key).subscribe(model, arguments=given)


def ask_wavespeed(origin: str, key: str, model: str, given: dict[str, Any]) -> object:
    """Return what WaveSpeed's client returns; a file of `images` is uploaded by it first."""
    client = import_module("wavespeed").Client(api_key=key, base_url=f"{origin}/wavespeed")
    files = [each for each in given.get("images", []) if Path(each).is_file()]
    if files:
        given = given | {"images": [client.upload(each) for each in files]}
    return client.run(model, given, poll_interval=0.1)


def _errors() -> tuple[type[Exception], ...]:
    """Return what either client raises."""
    module = import_module("fal_client.client")
    own = [getattr(module, name) for name in dir(module) if name.endswith("Error")]
    return (RuntimeError, ValueError, OSError, *own)


def main() -> None:
    """Print the answer, or the error that was raised."""
    asked = json.load(sys.stdin)
    ask = {"fal": ask_fal, "wavespeed": ask_wavespeed}[asked.pop("sdk")]
    errors = _errors()
    try:
        answer = ask(**asked)
    except errors as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    sys.stdout.write("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
