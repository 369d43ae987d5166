"""Debian's Chromium without a screen, driven by its DevTools protocol: what a page shows is read from the page."""

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.services.server import install_packages, one_installs

ADDRESS = re.compile(r"ws://127\.0\.0\.1:\d+/\S+")
WAIT_SECONDS = 60


class Browser:
    """A page of Chromium; `open` waits until it is loaded."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._session = ""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self._send(f"{domain}.enable")
        self.requested: list[str] = []
        """The addresses that pages have asked for since the browser began."""

    def open(self, url: str, width: int = 1440, height: int = 900, *, scheme: str = "light", media: str = "") -> None:
        """Show a page at a size in pixels, in a light or dark scheme, on a screen or as it is printed."""
        is_phone = width < 600
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if is_phone else 1, "mobile": is_phone}
        self._send("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._send("Emulation.setEmulatedMedia", media=media, features=features)
        self._send("Page.navigate", url="about:blank")
        self._send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def wait(self, condition: str) -> None:
        """Wait until a condition of JavaScript holds; raises TimeoutError."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.evaluate(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(condition)
            time.sleep(0.02)

    def evaluate(self, script: str) -> Any:
        """Return the value of JavaScript in the page; raises AssertionError with its error."""
        found = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def type(self, text: str) -> None:
        """Type a text, key by key."""
        for sign in text:
            self.press(sign, text=sign)

    def press(self, key: str, *, text: str = "") -> None:
        """Press a key by its name, such as ArrowDown."""
        named = {"key": key, "text": text} if text else {"key": key, "windowsVirtualKeyCode": {"Enter": 13}.get(key, 0)}
        if key == "Enter":
            named |= {"text": "\r"}
        self._send("Input.dispatchKeyEvent", type="keyDown", **named)
        self._send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def picture(self, file: Path, *, whole: bool = False) -> Path:
        """Take a picture of what is visible, or of the whole page, and return its file."""
        taken = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(taken["data"]))
        return file

    def print(self, file: Path) -> Path:
        """Print the page as PDF on A4, and return its file."""
        printed = self._send("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)
        file.write_bytes(base64.b64decode(printed["data"]))
        return file

    def _send(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=WAIT_SECONDS + 10))
            if answer.get("method") == "Network.requestWillBeSent":
                self.requested.append(answer["params"]["request"]["url"])
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])


def chromium() -> str:
    """Return Chromium's command; it is installed if it is missing."""
    with one_installs():
        if shutil.which("chromium") is None:
            install_packages("chromium", "fonts-dejavu-core")
    return shutil.which("chromium") or "chromium"


@contextmanager
def browsing() -> Iterator[Browser]:
    """Run Chromium with a profile of its own, and stop it by its process."""
    command = [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files"]
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        log = Path(profile) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen([*command, f"--user-data-dir={profile}/data"], stdout=output, stderr=output)
        try:
            with connect(_address(process, log), max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait until Chromium says where it listens; raises RuntimeError with its log if it does not."""
    import time

    deadline = time.monotonic() + WAIT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := ADDRESS.search(log.read_text(errors="replace")):
            return found[0]
        time.sleep(0.05)
    raise RuntimeError(f"Chromium did not start:\n{log.read_text(errors='replace')}")
