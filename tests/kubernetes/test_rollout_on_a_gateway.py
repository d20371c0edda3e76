"""Rollouts on a real API server and a real Envoy, judged by what real users were answered; header rules and copies as Envoy has
them."""

import http.client
import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from local_cluster_world import DIGESTS, World
from switched_service import View
from turnout_components.cluster_access import by_kubeconfig
from turnout_components.items_cluster import ClusterItems
from turnout_components.live import utc_now
from turnout_components.rollout_spec import Gate, RolloutSpec
from turnout_components.standby import StandbyPolicy
from turnout_components.switch_record import EnvironmentState, Operator, RecordStore, SwitchRecord, Traffic

from benchmarks.waiting import wait_for
from turnout.analysis.measurement import Count, Side
from turnout.metrics.provider import Place, Reading, Span
from turnout.rollout.controller import Controller
from turnout.rollout.mirrors import RouteMirrors
from turnout.rollout.start import Start, begin, prepare
from turnout.rollout.status import RolloutStatus, State
from turnout.rollout.store import RolloutStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
RELEASES = {name: f"tiny-{name}@{digest}" for name, digest in DIGESTS.items()}
GATES = [{"name": "errors", "kind": "errors", "objective": 0.9}, {"name": "health", "kind": "health"}]
SPEC = {"strategy": "canary", "steps": [50, 100], "bake": "2s", "observe": "2s", "extend": "90s", "gates": GATES}


@dataclass
class Users:
    """Three of them, each request on a connection of its own; what they were answered is the rollout's evidence, too."""

    url: str
    answers: list[tuple[float, str, object]] = field(default_factory=list)
    """When, by whose digest, and the status or what went wrong."""
    period, delay = timedelta(seconds=1), timedelta(seconds=1)

    @contextmanager
    def asking(self) -> Iterator["Users"]:
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                self.answers.append((time.time(), *answered(self.url)))

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            wait_for("answers", lambda: len(self.answers) > 50)
            yield self
        finally:
            over.set()
            for thread in threads:
                thread.join(timeout=30)

    def missing(self, *_: Any) -> list[str]:
        return []

    def percentile(self, *_: Any) -> float | None:
        return None

    def read(
        self, gates: Sequence[Gate], thresholds: Mapping[str, float], places: Mapping[Side, Place], spans: Sequence[Span]
    ) -> list[Mapping[Side, Reading]]:
        """Of each side the answers that carry its digest."""
        del gates, thresholds
        known = list(self.answers)
        return [{side: _reading(known, place.release, span) for side, place in places.items()} for span in spans]

    def variants(self, *_: Any) -> list[Any]:
        raise NotImplementedError


def _reading(known: list[tuple[float, str, object]], digest: str, span: Span) -> Reading:
    own = [status for at, who, status in known if who == digest and span.start.timestamp() <= at < span.end.timestamp()]
    bad = sum(status != 200 for status in own)
    return Reading(len(own), {"errors": Count(bad, len(own))} if own else {})


def answered(url: str, **headers: str) -> tuple[str, object]:
    """Whose digest answers, with which status."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        return str(body["digest"]), answer.status
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return "", repr(error)
    finally:
        connection.close()


class Rolled:
    """The service, its record and its rollouts in the world's namespace."""

    def __init__(self, world: World) -> None:
        self.world, space = world, world.namespace
        self.api = by_kubeconfig(kubeconfig=str(world.cloud.kubeconfig))
        self.view = View(self.api, 20)
        self.route = f"HTTPRoute/{space}/tiny"
        self.services = {name: f"Service/{space}/tiny-{name}" for name in DIGESTS}
        items = ClusterItems(self.api, space)
        self.records, self.rollouts = RecordStore(items, "tiny", "t"), RolloutStore(items, "tiny", "t")
        for name in DIGESTS:
            workload = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"tiny-{name}"}
            spec = {"scaleTargetRef": workload, "minReplicas": 1, "maxReplicas": 3}
            self.api.create("HorizontalPodAutoscaler", {"metadata": {"name": f"tiny-{name}", "namespace": space}, "spec": spec})
        states = {
            name: EnvironmentState(target_group=service, group=f"Deployment/{space}/tiny-{name}", release=RELEASES[name])
            for name, service in self.services.items()
        }
        whole = Traffic.all_to("blue", ("blue", "green"))
        self.records.write(
            SwitchRecord(key="tiny/t", listener=self.route, traffic=whole, config_base=whole, environments=states)
        )

    def start(self, users: Users) -> tuple[Controller, str]:
        spec, standby = RolloutSpec.model_validate(SPEC), StandbyPolicy(bake=timedelta(minutes=5))
        status = prepare(Start(spec, standby, Operator.current(), utc_now), self.records, self.view, users)
        begun = begin(status, self.rollouts, self.records, self.view)
        mirrors = RouteMirrors(self.view, self.api, self.world.namespace, users.period, users.delay)
        return Controller(self.rollouts, self.records, self.view, users, mirrors=mirrors), begun.id

    def drive(self, users: Users) -> tuple[RolloutStatus, list[int]]:
        """To the end; with the weights that were in force."""
        controller, rollout = self.start(users)
        weights: list[int] = []
        deadline = time.monotonic() + 200
        while not (tick := controller.tick(rollout)).is_done:
            assert time.monotonic() < deadline, f"{tick.waits}: {tick.status.judgements}"
            weights += [tick.status.weight] if weights[-1:] != [tick.status.weight] else []
            time.sleep(0.3)
        return tick.status, weights

    @property
    def live(self) -> dict[str, int]:
        found = self.view.weights(self.route) or {}
        return {name: found[service] for name, service in self.services.items()}


@pytest.fixture(scope="module")
def rolled(local_world: World) -> Iterator[Rolled]:
    """Blue has all traffic and two pods, green one; a route with a rule of somebody else's."""
    world = local_world.within("rolled")
    world.apply(world.deployment("blue", 2), world.service("blue"), world.deployment("green", 1), world.service("green"))
    world.apply(world.route(blue=100, green=0))
    world.await_ready("blue", 2)
    world.await_ready("green", 1)
    yield Rolled(world)
    world.end()


def copies(rolled: Rolled) -> int:
    """Requests that Envoy has sent to green so far."""
    with urllib.request.urlopen(f"{rolled.world.cloud.endpoint}/_turnout/prometheus/targets") as found:
        targets = json.load(found)
    page = next(one for one in targets if one["labels"].get("job") == "gateway")
    path = page["labels"].get("__metrics_path__", "/metrics")
    with urllib.request.urlopen(f"http://{page['targets'][0]}{path}") as found:
        text = found.read().decode()
    name = f"svc_{rolled.world.namespace}_tiny-green_80"
    counted = re.findall(rf'^envoy_cluster_upstream_rq_total{{[^}}]*"{name}"[^}}]*}} (\d+)', text, re.M)
    return int(counted[0]) if counted else 0


def test_envoy_sends_variants_past_the_weights_until_their_rules_are_out(rolled: Rolled) -> None:
    url = rolled.world.url()
    rolled.view.put_variants(rolled.route, {"control": rolled.services["blue"], "treatment": rolled.services["green"]})
    wait_for("the Gateway", lambda: rolled.view.refusal(rolled.route) is None)
    asked = {variant: {answered(url, **{"x-variant": variant}) for _ in range(20)} for variant in ("treatment", "control", "b")}
    assert asked["treatment"] == {(DIGESTS["green"], 200)}
    assert asked["control"] == asked["b"] == {(DIGESTS["blue"], 200)}
    assert rolled.view.clear_variants(rolled.route, rolled.services["green"])
    wait_for("the Gateway", lambda: rolled.view.refusal(rolled.route) is None)
    assert {answered(url, **{"x-variant": "treatment"}) for _ in range(20)} == {(DIGESTS["blue"], 200)}


def test_envoy_copies_the_share_and_users_have_no_part_in_it(rolled: Rolled) -> None:
    url, before = rolled.world.url(), copies(rolled)
    rolled.view.put_mirror(rolled.route, rolled.services["green"], 50)
    assert rolled.view.mirrored(rolled.route) == {rolled.services["green"]: 50}
    assert {answered(url) for _ in range(300)} == {(DIGESTS["blue"], 200)}
    wait_for("copies", lambda: copies(rolled) - before > 100)
    assert copies(rolled) - before < 200
    rolled.view.put_mirror(rolled.route, None, 0)
    wait_for("the Gateway", lambda: rolled.view.refusal(rolled.route) is None)
    ended = copies(rolled)
    assert {answered(url) for _ in range(50)} == {(DIGESTS["blue"], 200)}
    assert copies(rolled) == ended


def test_a_bad_release_is_taken_back_by_its_answers_and_a_good_one_is_promoted(rolled: Rolled) -> None:
    """Green fails all that it is asked, as long as its backend says so."""
    fails = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-status", "value": "500"}]}}
    route = rolled.world.route(blue=100, green=0)
    route["spec"]["rules"][0]["backendRefs"][1]["filters"] = [fails]
    rolled.world.apply(route)
    with Users(rolled.world.url()).asking() as users:
        status, weights = rolled.drive(users)
        returned = time.time() + 0.5  # Envoy has the route by then
        wait_for("answers after the return", lambda: sum(at > returned for at, _, _ in list(users.answers)) > 50)
    assert (status.state, status.unstable, weights, rolled.live) == (
        State.TAKEN_BACK,
        True,
        [50],
        {"blue": 100, "green": 0},
    ), status.cause
    assert "errors" in status.cause
    assert {answer for _, _, answer in users.answers} == {200, 500}
    assert {(who, answer) for at, who, answer in users.answers if at > returned} == {(DIGESTS["blue"], 200)}
    assert set(rolled.records.read().unstable) == {DIGESTS["green"]}  # type: ignore[union-attr]

    rolled.records.update(lambda record: record.changed(unstable={}))
    rolled.world.apply(rolled.world.route(blue=100, green=0))
    with Users(rolled.world.url()).asking() as users:
        status, weights = rolled.drive(users)
        seen = len(users.answers)
        wait_for("answers after the promotion", lambda: len(users.answers) > seen + 50)
    assert (status.state, rolled.live) == (State.PROMOTED, {"blue": 0, "green": 100}), status.cause
    assert weights == [50, 100]
    assert {answer for _, _, answer in users.answers} == {200}
    assert {who for _, who, _ in users.answers[-20:]} == {DIGESTS["green"]}
    green = rolled.view.group(f"Deployment/{rolled.world.namespace}/tiny-green")
    assert green is not None
    assert (green.minimum, len(green.in_service)) == (2, 2)
