"""A headless Chromium for tests, driven over its DevTools pipe: no port, no driver program."""

from collections.abc import Iterator
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from typing import Any, BinaryIO

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which needs rights that a container does not give
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--window-size=1100,1400",
)


class Page:
    """One open page."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        """Talks over two pipes: what is written to `requests`, what is read from `replies`."""
        self._requests = requests
        self._replies = replies
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Calls a method of the DevTools protocol; events that come meanwhile are kept in `events`."""
        number = next(self._numbers)
        call = {"id": number, "method": method, "params": params}
        if self._session:
            call["sessionId"] = self._session
        self._requests.write(json.dumps(call).encode() + b"\0")
        self._requests.flush()
        while True:
            reply = self._read()
            if reply.get("id") == number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']}")
                return reply["result"]
            self.events.append(reply)

    def open(self, url: str) -> None:
        """Opens an address."""
        self.send("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        result = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, condition: str) -> Any:
        """Waits, looking at every frame, until an expression is true; its value."""
        return self.run(
            "new Promise((done, fail) => { const end = Date.now() + 20000; const look = () => {"
            f" const value = (() => {{ try {{ return {condition}; }} catch {{ return null; }} }})();"
            " if (value) done(value); else if (Date.now() > end)"
            f" fail(new Error({json.dumps(condition)} + document.body.innerText));"
            " else setTimeout(look, 20); }; look(); })"
        )

    def complaints(self) -> list[str]:
        """What the browser's console says of errors."""
        return [
            json.dumps(event["params"])
            for event in self.events
            if event.get("method") == "Runtime.exceptionThrown"
            or event.get("method") == "Log.entryAdded"
            and event["params"]["entry"]["level"] == "error"
        ]

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._replies.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("The browser has ended.")
            text += byte
        return json.loads(text)


@contextlib.contextmanager
def open_browser() -> Iterator[Page]:
    """Starts the browser with an empty profile, and kills it at the end."""
    assert PROGRAM
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        requests_out, requests_in = os.pipe()
        replies_out, replies_in = os.pipe()
        # The browser reads its third file and writes its fourth.
        pipes = f'exec "$@" 3<&{requests_out} 4>&{replies_in}'
        process = subprocess.Popen(
            ["bash", "-c", pipes, "bash", PROGRAM, *_FLAGS]
            + [f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"],
            pass_fds=(requests_out, replies_in),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(requests_out)
        os.close(replies_in)
        try:
            with os.fdopen(requests_in, "wb") as requests, os.fdopen(replies_out, "rb") as replies:
                yield Page(requests, replies)
        finally:
            process.kill()
            process.wait()
