"""A model server with one fault, chosen by its first flag; its model is a text. Standard library only: it starts at once."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODE = sys.argv[1].removeprefix("--")
HOARD: list[bytearray] = []
STRANGE = {
    "nests": b"[" * 10**5,
    "counts": b'{"text": "a model", "score": 1%s}' % (b"0" * 400),
    "not-a-number": b'{"text": "a model", "score": NaN}',
}


def hoard() -> None:
    for _ in range(400):
        HOARD.append(bytearray(os.urandom(1)) * 2**20)
        time.sleep(0.002)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        digest = os.environ["TURNOUT_RELEASE_DIGEST"]
        if MODE == "drips-ready":
            self._without_end()
        self._answer(
            200 if MODE != "never-ready" and self.path == f"/ready?release={digest.replace(':', '%3A')}" else 503, b"{}"
        )

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if MODE == "dies":
            print("out of \x1b[31mideas", flush=True)
            os._exit(7)
        if MODE == "swells":
            hoard()
        if MODE == "sleeps":
            time.sleep(30)
        if MODE in ("drips", "floods"):
            self._without_end()
        text = Path(os.environ["TURNOUT_MODEL"]).read_text()
        environ = sorted(name for name in os.environ if name.startswith(("AWS", "GITHUB", "SECRET")))
        answer = {"text": text.upper() if asked["upper"] else text, "score": 0.93, "environ": environ}
        self._answer(
            500 if MODE == "fails" else 200, STRANGE.get(MODE) or json.dumps(answer).encode(), "gzip" if MODE == "zips" else ""
        )

    def _without_end(self) -> None:
        """A byte now and then, or as many as there is room for."""
        self.send_response(200)
        self.send_header("Content-Length", str(10**12))
        self.end_headers()
        while True:
            self.wfile.write(b" " if MODE != "floods" else b" " * 2**20)
            self.wfile.flush()
            time.sleep(0 if MODE == "floods" else 0.1)

    def _answer(self, status: int, body: bytes, encoding: str = "") -> None:
        self.send_response(status)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


if MODE == "exits":
    sys.exit("no such layer: block.7")
if MODE == "hoards":
    hoard()
if MODE == "hangs":
    time.sleep(60)
if MODE == "sheds":  # a child that outlives its parent's patience
    import subprocess

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(os.environ["TURNOUT_MODEL"]).with_name("child").write_text(str(child.pid))
if MODE == "demon" and os.fork() == 0:  # a grandchild in a session of its own, whose parent has ended
    os.setsid()
    if os.fork():
        os._exit(0)
    Path(os.environ["TURNOUT_MODEL"]).with_name("child").write_text(str(os.getpid()))
    time.sleep(60)
    os._exit(0)
while MODE == "demon" and not Path(os.environ["TURNOUT_MODEL"]).with_name("child").exists():
    time.sleep(0.01)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
