"""A real Chromium without a window, told what to do over pipes by its DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAM = "chromium"
_WITHIN_S = 30.0
_SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars")


@dataclass
class Looked:
    """What a browser did to show a page.

    Attributes:
        requested: addresses that it asked for.
        complaints: what it wrote to its console, broken policies included.
    """

    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class Browser:
    """Chromium with one page.

    Args:
        folder: its profile, made anew.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids = itertools.count(1)
        self._events: list[dict[str, Any]] = []
        self._read = b""

    def __enter__(self) -> Browser:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        # It reads orders from descriptor 3 and answers on 4. Source: Chromium, --remote-debugging-pipe.
        command = f'exec "$@" 3<&{orders} 4>&{answers}'
        program = shutil.which(PROGRAM) or PROGRAM
        self._process = subprocess.Popen(
            ["bash", "-c", command, "bash", program, *_SWITCHES, f"--user-data-dir={self._folder}", "about:blank"],
            pass_fds=(orders, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(orders)
        os.close(answers)
        targets = self._tell("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = str(self._tell("Target.attachToTarget", targetId=page, flatten=True)["sessionId"])
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.tell(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=_WITHIN_S)
        os.close(self._orders)
        os.close(self._answers)

    def window(self, width_px: int, height_px: int, scheme: str = "light") -> None:
        """Size of the page's window, and whether its user likes it light or dark."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width_px,
            height=height_px,
            deviceScaleFactor=1,
            mobile=width_px < 600,
        )
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url: str) -> Looked:
        """Show a page; what it took."""
        self._events.clear()
        self.tell("Page.navigate", url=url)
        self._until(lambda: any(event["method"] == "Page.loadEventFired" for event in self._events))
        self.value("new Promise(done => setTimeout(done, 200))")  # an icon is asked for after the page
        looked = Looked()
        for event in self._events:
            said = event["params"]
            if event["method"] == "Network.requestWillBeSent":
                looked.requested.append(said["request"]["url"])
            if event["method"] == "Log.entryAdded":
                looked.complaints.append(said["entry"]["text"])
        return looked

    def value(self, expression: str) -> Any:  # noqa: ANN401 - what JavaScript says
        """Value of an expression in the page."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        return self.tell("Runtime.evaluate", **asked)["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self.tell("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """One order to the page, and its result."""
        return self._tell(method, self._session, **parameters)

    def _tell(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        number = next(self._ids)
        order = {"id": number, "method": method, "params": parameters}
        order |= {"sessionId": session} if session else {}
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        answer: dict[str, Any] = {}

        def answered() -> bool:
            """Whether the order's answer has come."""
            found = [event for event in self._events if event.get("id") == number]
            answer.update(found[0] if found else {})
            return bool(found)

        self._until(answered)
        self._events = [event for event in self._events if "method" in event]
        assert "error" not in answer, answer
        result = answer["result"]
        assert isinstance(result, dict)
        return result

    def _until(self, come: Any) -> None:  # noqa: ANN401 - a function without arguments
        until = time.monotonic() + _WITHIN_S
        while not come():
            assert time.monotonic() < until, f"Chromium does not answer: {self._process.poll()}"
            if select.select([self._answers], [], [], 0.5)[0]:
                self._read += os.read(self._answers, 1 << 20)
                *whole, self._read = self._read.split(b"\0")
                self._events += [json.loads(message) for message in whole]
