"""Drives a headless Chromium through chromedriver: W3C WebDriver, JSON over HTTP on loopback."""

import base64
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--disable-dev-shm-usage",
)  # fmt: skip
SECONDS = 60


class Browser:
    """One session of a browser."""

    def __init__(self, base: str, options: dict[str, Any]) -> None:
        self.base = base
        self.base = f"{base}/session/{self._send('POST', '/session', options)['sessionId']}"

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(  # noqa: S310 - loopback only
            f"{self.base}{path}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - as above
            return json.load(answer)["value"]

    def open(self, path: Path | None) -> None:
        """Load a file, or nothing."""
        self._send("POST", "/url", {"url": path.as_uri() if path else "about:blank"})

    def run(self, script: str) -> Any:
        """Run a script in the page and return its value; a promise is waited for."""
        body = f"Promise.resolve((async () => {{ {script} }})()).then(arguments[arguments.length - 1])"
        return self._send("POST", "/execute/async", {"script": body, "args": []})

    def emulate(self, command: str, **values: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self._send("POST", "/goog/cdp/execute", {"cmd": command, "params": values})

    def size(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Set the width and height of the view in CSS pixels, and the preferred colours."""
        self.emulate(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.emulate("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self) -> bytes:
        """Return a screenshot of the whole page as PNG."""
        found = self.emulate("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def paper(self) -> bytes:
        """Return the page as PDF."""
        found = self.emulate("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return base64.b64decode(found["data"])

    def log(self) -> list[dict[str, Any]]:
        """Return what the console said, errors of the content security policy included."""
        found: list[dict[str, Any]] = self._send("POST", "/se/log", {"type": "browser"})
        return found

    def requests(self) -> list[str]:
        """Return every address that was asked for."""
        events = (
            json.loads(item["message"])["message"]
            for item in self._send("POST", "/se/log", {"type": "performance"})
        )
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def quit(self) -> None:
        """End the session."""
        self._send("DELETE", "")


@contextmanager
def browser(chromedriver: str, chromium: str, profile: Path) -> Iterator[Browser]:
    """Start a browser and end it again."""
    with subprocess.Popen([chromedriver, "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
        try:
            yield from _session(driver, chromium, profile)
        finally:
            driver.terminate()


def _session(driver: "subprocess.Popen[str]", chromium: str, profile: Path) -> Iterator[Browser]:
    lines = iter(driver.stdout or ())
    started = next(line for line in lines if "started successfully on port" in line)
    port = int(started.rstrip(".\n").rpartition(" ")[2])
    options = {
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={profile}"]},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }
    found = Browser(f"http://127.0.0.1:{port}", {"capabilities": {"alwaysMatch": options}})
    try:
        yield found
    finally:
        found.quit()
