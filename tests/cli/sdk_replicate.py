"""Runs a prediction as a program on the `replicate` client would; runs where that is installed.

Reads `{"client": …, "ask": …}`, the arguments of the client's calls, from stdin; writes JSON.
With `file` in `ask` that file is given as `image_input`, uploaded by the client.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import replicate  # type: ignore[import-not-found,unused-ignore]  # in a venv of its own
from replicate.exceptions import (  # type: ignore[import-not-found,unused-ignore]
    ModelError,
    ReplicateError,
)


def main() -> None:
    """Print the URLs that the client returns, or the error that it raises."""
    given = json.load(sys.stdin)
    client, ask = replicate.Client(**given["client"]), given["ask"]
    if name := ask.pop("file", None):
        with Path(name).open("rb") as file:
            ask["input"]["image_input"] = [client.files.create(file).urls["get"]]
    try:
        output = client.run(ask["ref"], input=ask["input"], **ask.get("params", {}))
        items = output if isinstance(output, list) else [output]
        page = client.predictions.list()
        answer = {
            "urls": [getattr(item, "url", item) for item in items],
            "listed": [(one.id, one.status, one.input) for one in page.results],
        }
    except ModelError as error:
        answer = {"error": "ModelError", "text": str(error.prediction.error)}
    except ReplicateError as error:
        answer = {"error": error.title, "text": error.detail, "status": error.status}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
