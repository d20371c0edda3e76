"""A model server with few places: further requests wait, and /metrics says how many wait and run."""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DIGEST = os.environ["TURNOUT_RELEASE_DIGEST"]
PLACES = 4
places = threading.Semaphore(PLACES)
lock = threading.Lock()
present = {"waiting": 0, "running": 0}


def count(state: str, change: int) -> None:
    with lock:
        present[state] += change


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 90
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/ready":
            wanted = parse_qs(url.query).get("release", [DIGEST])[0]
            self.answer(200 if wanted == DIGEST else 503, "application/json", "{}")
        elif url.path == "/metrics":
            lines = [f"turnout_requests_{state} {number}" for state, number in present.items()]
            share = 100 * present["running"] / PLACES
            self.answer(200, "text/plain", "\n".join([*lines, f"turnout_gpu_utilization {share}", ""]))
        else:
            self.work(float(self.headers.get("x-work", "0")))
            self.answer(200, "application/json", json.dumps({"instance": os.environ["INSTANCE_ID"], "digest": DIGEST}))

    def work(self, seconds: float) -> None:
        count("waiting", 1)
        with places:
            count("waiting", -1)
            count("running", 1)
            time.sleep(seconds)
            count("running", -1)

    def answer(self, status: int, kind: str, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = False
    request_queue_size = 256


if __name__ == "__main__":
    server = Server((os.environ["HOST"], int(os.environ["PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()
