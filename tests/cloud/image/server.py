"""A model server as small as it can be: says who it is, fails and waits when a request header asks it to."""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

DIGEST = os.environ["TURNOUT_RELEASE_DIGEST"]
INSTANCE = os.environ["INSTANCE_ID"]
sick = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 90
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/ready":
            wanted = parse_qs(url.query).get("release", [DIGEST])[0]
            self.answer(200 if wanted == DIGEST and not sick.is_set() else 503, {"digest": DIGEST})
            return
        if url.path in ("/sick", "/well"):
            sick.set() if url.path == "/sick" else sick.clear()
        time.sleep(float(self.headers.get("x-hold", "0")))
        status = int(self.headers.get("x-status", "200"))
        self.answer(status, {"instance": INSTANCE, "digest": DIGEST, "path": self.path, "headers": dict(self.headers)})

    def answer(self, status: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = False


if __name__ == "__main__":
    assert Path(os.environ["TURNOUT_MODEL"]).read_bytes()
    server = Server((os.environ["HOST"], int(os.environ["PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()
