"""Headless Chromium over its debugging port: opens a page that never ends loading, clicks, takes pictures."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = ("--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--no-first-run")


class Page:
    """One tab."""

    def __init__(self, socket) -> None:
        self._socket, self._number = socket, 0

    def call(self, method: str, **parameters) -> dict:
        """One command of the DevTools protocol and its answer."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                return answer["result"]

    def evaluate(self, expression: str):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def text(self) -> str:
        """What a person could read."""
        return self.evaluate("document.body.innerText") or ""

    def until_text(self, part: str, timeout_s: float = 60.0) -> str:
        """Waits for a text; returns all of it."""
        end = time.monotonic() + timeout_s
        while part not in (found := self.text()):
            assert time.monotonic() < end, f"{part!r} never appeared; the page says {found!r}"
            time.sleep(0.3)
        return found

    def click(self, label: str) -> None:
        """Clicks the button with a label."""
        find = f"[...document.querySelectorAll('button')].find(b => b.innerText.trim() === {label!r})"
        assert self.evaluate(f"Boolean({find})"), f"no button {label!r}"
        self.evaluate(f"{find}.click()")

    def click_until(self, label: str, part: str, timeout_s: float = 60.0) -> None:
        """Clicks a button again and again until a text appears: what it asks may have to be discovered first."""
        end = time.monotonic() + timeout_s
        while part not in (found := self.text()):
            assert time.monotonic() < end, f"{part!r} never appeared; the page says {found!r}"
            self.click(label)
            time.sleep(1.0)

    def picture(self, path: Path) -> None:
        """Writes a PNG of what is seen."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextlib.contextmanager
def opened(url: str, folder: Path, size: tuple[int, int] = (1000, 700)) -> Iterator[Page]:
    """A page in a browser of its own, which keeps its files in a folder."""
    from websockets.sync.client import connect

    assert CHROMIUM is not None
    flags = [*_FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={folder / 'profile'}"]
    browser = subprocess.Popen(
        [CHROMIUM, *flags, "--remote-debugging-port=0", "--remote-allow-origins=*", url],
        env={**os.environ, "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with connect(_address(folder / "profile/DevToolsActivePort"), max_size=2**26) as socket:
            yield Page(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)
        browser.wait(20)


def _address(told: Path) -> str:
    """The tab's address, once the browser has said its port."""
    end = time.monotonic() + 60.0
    while time.monotonic() < end:
        with contextlib.suppress(OSError, IndexError, StopIteration, KeyError):
            port = told.read_text().split()[0]
            tabs = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10))
            return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        time.sleep(0.3)
    raise AssertionError("the browser does not answer")
