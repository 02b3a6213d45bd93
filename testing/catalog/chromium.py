"""A real Chromium, without a window, driven through its own DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import urlopen

from tornado.websocket import WebSocketClientConnection, websocket_connect

from testing import processes
from testing.waiting import until, wait_until

__all__ = ["CHROMIUM", "Browser"]

#: The program, or None where there is none.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One tab of a browser of its own, which ends with it.

    Its errors and what its scripts log are in ``errors``.
    """

    def __init__(self) -> None:
        assert CHROMIUM is not None
        self._directory = tempfile.TemporaryDirectory(prefix="dask-regions-browser-")
        profile = Path(self._directory.name)
        self._process = processes.start(
            [
                CHROMIUM,
                "--headless=new",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                # Tests run as root in containers, where Chromium's sandbox and /dev/shm are not to be had.
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                # The same with and without a network.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--no-first-run",
                "--lang=en",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.errors: list[str] = []
        self._number = 0
        self._loop = asyncio.new_event_loop()
        try:
            self._tab = self._run(self._connect(profile / "DevToolsActivePort"))
            for domain in ("Page", "Runtime", "Log", "Network"):
                self._run(self._send(f"{domain}.enable"))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if getattr(self, "_tab", None) is not None:
            self._run(self._closed())
        self._loop.close()
        self._directory.cleanup()

    def open(self, url: str) -> None:
        """Go to an address; what it shows may come later."""
        self._run(self._send("Page.navigate", url=url))

    def type(self, text: str) -> None:
        """Type a text and Enter into what has the focus."""
        self._run(self._send("Input.insertText", text=text))
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        self._run(self._send("Input.dispatchKeyEvent", type="keyDown", text="\r", **key))
        self._run(self._send("Input.dispatchKeyEvent", type="keyUp", **key))

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self._run(self._send("Runtime.evaluate", expression=expression, returnByValue=True))
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Return the value of an expression as soon as it is true."""

        def page() -> str:
            shown = self.evaluate("document.body ? document.body.innerText : ''")
            return f"{expression}; errors: {self.errors}; page: {shown[:3000]}"

        return wait_until(lambda: self.evaluate(f"document.body && ({expression})"), page)

    def wait_for_text(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.wait(f"document.body.innerText.includes({json.dumps(text)})")

    def _run(self, coroutine: Any) -> Any:
        return self._loop.run_until_complete(coroutine)

    async def _connect(self, port_file: Path) -> WebSocketClientConnection:
        port = await until(lambda: port_file.exists() and port_file.read_text().split("\n")[0])
        with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:  # noqa: ASYNC210 - nothing else waits
            (tab,) = [target for target in json.load(answer) if target["type"] == "page"]
        return await websocket_connect(tab["webSocketDebuggerUrl"], max_message_size=1 << 26)

    async def _closed(self) -> None:
        self._tab.close()

    async def _send(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        await self._tab.write_message(json.dumps(message))
        while True:
            text = await self._tab.read_message()
            assert text is not None, "the browser has ended"
            event = json.loads(text)
            if event.get("id") == self._number:
                assert "error" not in event, event
                return event["result"]
            self._note(event)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"].get("exception", {}).get("description")))
        elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
