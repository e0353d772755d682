"""Headless Chromium through its debugging pipe, with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
)
_PATIENCE = 60  # seconds for an answer


def found() -> str | None:
    """Return the path of a browser, None where there is none or this system has no such pipes."""
    return None if os.name == "nt" else next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """One page of a browser of its own, as a context manager; `requests` are the addresses that it asked for."""

    def __enter__(self) -> Browser:
        self._folder = tempfile.mkdtemp()
        reading, self._out = os.pipe()
        self._in, writing = os.pipe()
        # the browser reads from 3 and writes to 4
        start = f'exec "$0" "$@" 3<&{reading} 4>&{writing}'
        self._process = subprocess.Popen(
            ["bash", "-c", start, found(), *_FLAGS, f"--user-data-dir={self._folder}", "about:blank"],
            pass_fds=(reading, writing),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(reading)
        os.close(writing)
        self._held, self._count, self._session = b"", 0, None
        self.requests: list[str] = []
        self.events: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.send("Browser.close")
        self._process.wait(_PATIENCE)
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._folder, ignore_errors=True)

    def send(self, method: str, **arguments: object) -> dict[str, Any]:
        """Send a command of the DevTools protocol, and return its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": arguments}
        if self._session is not None and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            assert select.select([self._in], [], [], _PATIENCE)[0], "the browser does not answer"
            part = os.read(self._in, 1 << 20)
            if not part:
                raise OSError("the browser has ended")
            self._held += part
        text, _, self._held = self._held.partition(b"\0")
        message = json.loads(text)
        self.events.append(message.get("method", ""))
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        return message

    def show(self, page: Path, *, width: int, scheme: str = "light", media: str = "screen") -> None:
        """Open a file, and wait until it is there."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        self.send(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        self.requests.clear()
        self.events.clear()
        self.send("Page.navigate", url=page.resolve().as_uri())
        while "Page.loadEventFired" not in self.events:
            self._next()

    def run(self, script: str) -> Any:
        """Return what a script in the page returns, or promises."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Write a screenshot as PNG."""
        found = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def print(self, path: Path) -> None:
        """Print the page into a PDF."""
        self.send("Emulation.clearDeviceMetricsOverride")
        self.send("Emulation.setEmulatedMedia", media="")
        found = self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        path.write_bytes(base64.b64decode(found["data"]))
