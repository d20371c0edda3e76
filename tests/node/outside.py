"""Who stands outside a node, in a network namespace of their own: users who never stop asking, and a candidate's instance.

`python outside.py NODE PORT CANDIDATE`: reads commands from standard input, a line each, and answers each with a line of JSON:
`count` (requests and broken ones since the last count, copies in all) and `end`.
"""

import http.client
import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USERS = 4
PAUSE = 0.004
"""Seconds between a user's requests: the machine has others to serve."""


class Users:
    """Half of them take a new connection for each request, half keep theirs until the server closes it."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.lock, self.over = threading.Lock(), threading.Event()
        self.asked = 0
        self.broken: Counter[str] = Counter()
        self.threads = [threading.Thread(target=self.ask, args=(bool(number % 2),)) for number in range(USERS)]
        for thread in self.threads:
            thread.start()

    def ask(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=10)
        while not self.over.is_set():
            try:
                connection.request("GET", "/v1/x")
                answer = connection.getresponse()
                said = answer.read()
                fault = "" if (answer.status, said) == (200, b"live") else f"{answer.status} {said!r}"
            except (OSError, http.client.HTTPException) as error:
                fault = repr(error)
            with self.lock:
                self.asked += 1
                self.broken.update([fault] if fault else [])
            if fault or not keeps:
                connection.close()
            self.over.wait(PAUSE)

    def count(self) -> dict[str, object]:
        with self.lock:
            counted = {"asked": self.asked, "broken": self.broken}
            self.asked, self.broken = 0, Counter()
        return counted


class Candidate(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    copies = 0

    def do_GET(self) -> None:
        Candidate.copies += self.headers.get("x-turnout-mirrored") == "1"
        self.send_response(500)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main(node: str, port: str, candidate: str) -> None:
    server = ThreadingHTTPServer((candidate, int(port)), Candidate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    users = Users(node, int(port))
    for line in sys.stdin:
        print(json.dumps({**users.count(), "copies": Candidate.copies}), flush=True)
        if line.strip() == "end":
            break
    users.over.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
