"""Drives a headless Chromium by its debugging pipe, where the machine has one."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
SECONDS = 60.0


@dataclass
class Browser:
    """One page; `events` is whatever it said meanwhile."""

    reading: int
    writing: int
    session: str = ""
    events: list[dict[str, object]] = field(default_factory=list)
    _number: int = 0
    _rest: bytes = b""

    def call(self, method: str, **params: object) -> dict[str, object]:
        """Send one command of the DevTools protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + SECONDS
        while True:
            said = self._next(until)
            if said.get("id") == self._number:
                assert "error" not in said, said
                result = said["result"]
                assert isinstance(result, dict)
                return result
            self.events.append(said)

    def _next(self, until: float) -> dict[str, object]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self.reading], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            self._rest += os.read(self.reading, 1 << 20)
        line, _, self._rest = self._rest.partition(b"\0")
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    def open(self, url: str) -> None:
        """Go to a page and wait until it is whole."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        for _ in range(200):
            if self.eval("document.readyState") == "complete":
                return
            time.sleep(0.02)
        raise AssertionError("the page does not come")

    def eval(self, expression: str) -> object:
        """Return what an expression says in the page."""
        said = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said
        result = said["result"]
        assert isinstance(result, dict)
        return result.get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press one key as a person does."""
        more = {"text": text} if text else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **(more if kind == "keyDown" else {}),
            )

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def look(self, file: Path, width: int, height: int, *, is_dark: bool = False) -> None:
        """Take a picture of the page."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        time.sleep(0.5)
        data = self.call("Page.captureScreenshot")["data"]
        file.write_bytes(base64.b64decode(str(data)))

    def requested(self) -> list[str]:
        """Name what the page asked for since it was opened."""
        return [
            str(event["params"]["request"]["url"])  # type: ignore[index]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[object]:
        """Return what stands in the console: of scripts, of the page's own policy."""
        methods = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in self.events if event.get("method") in methods]


@contextmanager
def browsing(home: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own and one empty page."""
    assert PROGRAM is not None
    into, ours_out = os.pipe()
    ours_in, out = os.pipe()

    def plug() -> None:
        # The pipe's ends are descriptors 3 and 4 by Chromium's rule (--remote-debugging-pipe).
        here = os.dup(into), os.dup(out)
        os.dup2(here[0], 3)
        os.dup2(here[1], 4)

    process = subprocess.Popen(
        [
            PROGRAM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            f"--user-data-dir={home}",
            "--remote-debugging-pipe",
            "about:blank",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=plug,  # noqa: PLW1509 - nothing but two descriptors, in a test
    )
    os.close(into)
    os.close(out)
    browser = Browser(ours_in, ours_out)
    try:
        made = browser.call("Target.createTarget", url="about:blank")
        joined = browser.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        browser.session = str(joined["sessionId"])
        for domain in ("Page", "Runtime", "Network", "Log"):
            browser.call(f"{domain}.enable")
        yield browser
    finally:
        process.kill()
        process.wait()
        os.close(ours_in)
        os.close(ours_out)
