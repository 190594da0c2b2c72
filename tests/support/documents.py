"""The five documents that the product was first written from, and what stands in them.

`documents/*.txt` are the pages as they were read: `ark.txt` (a reference of Ark's image API),
`kie-market.txt` (docs.kie.ai, Seedream4.5 - Text to Image), `kie-seedream-endpoint.txt` (KIE's
older endpoint), `seedreams-app.txt` (www.seedreams.app/api-docs), `uniall.txt`
(docs.uniall.ai/models/image/seedream).
"""

from __future__ import annotations

import json
import re
import shlex
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

FOLDER = Path(__file__).parent.parent / "documents"
BASES = {
    "https://ark.cn-beijing.volces.com/api/v3": "/ark/api/v3",
    "https://api.kie.ai": "/kie",
    "https://www.seedreams.app/api": "/seedreams/api",
    "$BASE_URL": "/uniall",
}
"""What stands before the paths of the examples, and where the sandbox serves that."""
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A request of a document."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Sends what documents say to a sandbox; it plays `requests` for their Python examples."""

    origin: str
    headers: dict[str, str] = field(default_factory=lambda: {"Authorization": "Bearer k"} | _JSON)

    def place(self, text: str) -> str:
        """Replace the base URLs in a text, and nothing else."""
        for base, path in BASES.items():
            text = text.replace(base, self.origin + path)
        return text

    def send(self, example: Example) -> Answered:
        """Send an example as it is written."""
        body = example.body.encode() if example.body else None
        return self._send(example.method, self.place(example.url), example.headers, body)

    def post(
        self, url: str, headers: dict[str, str] | None = None, json: object = None
    ) -> Answered:
        """POST JSON, as `requests.post` does."""
        return self._send("POST", url, self.headers if headers is None else headers, _encoded(json))

    def get(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
    ) -> Answered:
        """GET, as `requests.get` does."""
        query = f"?{urlencode(params)}" if params else ""
        return self._send("GET", url + query, self.headers if headers is None else headers, None)

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answered:
        asked = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(asked) as answer:  # noqa: S310 - likewise
                return Answered(status=answer.status, body=answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answered(status=error.code, body=error.read())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer."""

    status: int
    body: bytes

    def json(self) -> dict[str, object]:
        """Return the JSON object."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


def read(document: str) -> str:
    """Return a document as it was read."""
    return (FOLDER / document).read_text(encoding="utf-8")


def fenced(document: str, language: str) -> list[str]:
    """Return the blocks of a Markdown document in this language."""
    # Of the parts between fences every other one is a block; its first line names the language.
    blocks = re.split(r"^```", read(document), flags=re.MULTILINE)[1::2]
    heads = (block.partition("\n") for block in blocks)
    return [text for head, _, text in heads if head == language]


def plain(document: str, language: str, end: str) -> str:
    """Return the block that a page of plain text begins by the name of its language."""
    return read(document).partition(f"\n{language}\n")[2].partition(end)[0]


def curls(document: str) -> list[Example]:
    """Return the curl commands of a document; a variable of the shell stays as it is."""
    commands = re.findall(r"^curl .*?\}'$", read(document), re.DOTALL | re.MULTILINE)
    return [_curl(shlex.split(command.replace("\\\n", " "))[1:]) for command in commands]


def table(document: str, heading: str) -> list[list[str]]:
    """Return the rows of the first Markdown table behind a heading, without its head."""
    behind = read(document).partition(f"\n{heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", behind, re.MULTILINE)
    assert lines, heading
    rows = [line.strip().strip("|").split("|") for line in lines[0].splitlines()]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


def _curl(words: list[str]) -> Example:
    method, url, headers, body = "", "", dict[str, str](), ""
    rest = iter(words)
    for word in rest:
        match word:
            case "-X" | "--request":
                method = next(rest)
            case "-H" | "--header":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            case "-d" | "--data-raw":
                body = next(rest)
            case "--location":
                pass
            case _:
                url = word
    return Example(method=method or "POST", url=url, headers=headers, body=body)


def _encoded(value: object) -> bytes:
    return json.dumps(value).encode()
