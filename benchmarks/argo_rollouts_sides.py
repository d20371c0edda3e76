"""Both sides of the comparison: rollouts of Turnout, and of Argo Rollouts with a TrafficSplit that the Gateway follows."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from turnout_components.kubernetes_names import ENVIRONMENT_LABEL

from benchmarks.argo_rollouts_world import BAD, NEW, OLD, SPEED, Argo, World, add_gateway
from benchmarks.prometheus import ERRORS, REQUESTS
from benchmarks.service import release
from benchmarks.waiting import wait_for
from turnout.cluster.local import GATEWAY_NAMESPACE
from turnout.cluster.watching import HTTP_ROUTE, SERVICE, Watch, kind, patch
from turnout.rollout.status import State
from turnout.rollouts import Rollouts

STEPS = (20, 50)
"""Percent, then all."""
BAKE = 10
"""Seconds at each weight, for both."""
OBJECTIVE = 0.99
"""Share of requests that are to be answered without a 5xx, for both."""
WINDOW = 3
"""Seconds over which Argo's query takes its rates: twelve scrapes."""
PERIOD, DELAY = SPEED, SPEED / 2
"""Of Turnout's measurements, in the local cluster's seconds: a value a second, half a second late."""
WITHIN = 240.0
LOOK = 1.0
"""Seconds between two looks of Turnout's driver, as `turnout rollout run` takes them."""

ROLLOUT = kind("argoproj.io", "v1alpha1", "Rollout", "rollouts")
TEMPLATE = kind("argoproj.io", "v1alpha1", "AnalysisTemplate", "analysistemplates")
ANALYSIS = kind("argoproj.io", "v1alpha1", "AnalysisRun", "analysisruns")
SPLIT = kind("split.smi-spec.io", "v1alpha2", "TrafficSplit", "trafficsplits")
NAME, STABLE, CANARY = "argo", "argo-stable", "argo-canary"


@dataclass(frozen=True)
class Moments:
    """Unix seconds of a rollout's beginning and end, of its last verdict, and of the weights that follow from it."""

    began: float
    ended: float
    verdict: float
    weights: float


class Side(Protocol):
    """One controller with a service."""

    user: str
    """Whose calls are its own."""

    def url(self) -> str:
        """Where users ask."""

    def good(self) -> Moments:
        """The other good release gets all traffic."""

    def prepare(self) -> None:
        """Before bad releases are tried."""

    def bad(self) -> Moments:
        """The bad release is tried and taken back."""


@dataclass
class Weights:
    """Notes when an object's backends change their weights: Unix seconds, and percent by backend."""

    seen: list[tuple[float, dict[str, int]]] = field(default_factory=list)

    def note(self, weights: dict[str, int]) -> None:
        if weights and (not self.seen or self.seen[-1][1] != weights):
            self.seen.append((time.time(), weights))

    def since(self, began: float, holds: Callable[[dict[str, int]], bool]) -> float:
        """When they first held it after that moment; waits for it."""
        return wait_for("weights", lambda: next((at for at, found in self.seen if at >= began and holds(found)), 0.0), WITHIN)


class Turnout:
    """The service as Turnout deploys it, rolled out by its own driver, which looks as often as the command's does."""

    user = "turnout"

    def __init__(self, world: World) -> None:
        self._world = world
        self._rollouts = Rollouts(world.access, world.cloud)
        self._weights = Weights()
        self._watch = Watch(world.client, HTTP_ROUTE, self._look).start()

    def url(self) -> str:
        return self._world.url()

    def good(self) -> Moments:
        moments = self._run(State.PROMOTED)
        self._rollouts.access.store.update(lambda record: record.changed(retained=None))  # the next one gives up what was left
        return moments

    def prepare(self) -> None:
        self._world.deploy(BAD)

    def bad(self) -> Moments:
        moments = self._run(State.TAKEN_BACK)
        records = self._rollouts.access.store
        record = records.read()
        for mark in list(record.unstable.values()) if record else []:
            records.update(lambda found, mark=mark: found.accepted(mark.release, mark.at, "benchmark"))  # type: ignore[misc]
        return moments

    def _run(self, wanted: State) -> Moments:
        spec = self._rollouts.spec(
            {
                "steps": [*STEPS, 100],
                "bake": f"{BAKE}s",
                "observe": "3s",
                "extend": "60s",
                "gates": [{"name": "errors", "kind": "errors", "objective": OBJECTIVE, "metric": ERRORS}],
                "metrics": {**self._world.prometheus.source, "period": f"{PERIOD:.0f}s", "delay": f"{DELAY:.0f}s"},
            }
        )
        began = time.time()
        status = self._rollouts.begin(self._rollouts.prepare(spec))
        controller = self._rollouts.controller(spec, lambda line: None)
        verdicts = _verdicts(controller)
        while not (tick := controller.tick(status.id)).is_done:
            time.sleep(LOOK)
        if tick.status.state is not wanted:
            raise RuntimeError(f"Turnout's rollout was to be {wanted.value}: {tick.status.state.value}, {tick.status.cause}")
        record = self._rollouts.access.store.read()
        assert record is not None
        candidate = record.environments[status.candidate].target_group.rpartition("/")[2]
        share = 100 if wanted is State.PROMOTED else 0
        weights = self._weights.since(verdicts[-1], lambda found: found.get(candidate, 0) == share)
        return Moments(began, time.time(), verdicts[-1], weights)

    def _look(self) -> None:
        route = self._watch.get((self._world.namespace, self._world.namespace))
        rules = route["spec"]["rules"] if route is not None else ()
        backends = [one for rule in rules for one in rule.get("backendRefs") or ()]
        self._weights.note({str(one["name"]): int(one.get("weight", 1)) for one in backends})


def _verdicts(controller: Any) -> list[float]:
    """Moments at which the driver has decided to give the candidate everything, or nothing."""
    moves, found = controller._moves, list[float]()
    put_back, put_weight = moves.put_back, moves.put_weight

    def back(*args: Any) -> None:
        found.append(time.time())
        put_back(*args)

    def weight(status: Any, percent: int) -> None:
        if percent == 100:
            found.append(time.time())
        put_weight(status, percent)

    moves.put_back, moves.put_weight = back, weight
    return found


class ArgoRollouts:
    """The same pods as a Rollout. Its controller writes a TrafficSplit; this copies it to the HTTPRoute, as the Gateway API
    plugin would write it."""

    user = "argo-rollouts"

    def __init__(self, world: World) -> None:
        self._world = world
        self._pods = {version: world.template(version) for version in (OLD, NEW)}
        self._stable = OLD
        self._weights = Weights()
        self._runs: dict[str, tuple[float, str]] = {}
        self._splits = Watch(world.client, SPLIT, self._copy)
        self._analyses = Watch(world.client, ANALYSIS, self._judged)
        self.copies: list[float] = []
        """Milliseconds that each copy of weights took."""

    def start(self) -> None:
        """Makes the Rollout with the old release; returns when it is healthy and users reach it."""
        space = {"namespace": self._world.namespace}
        add_gateway(self._world, NAME)
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        for name in (STABLE, CANARY):
            spec: dict[str, Any] = {"selector": {ENVIRONMENT_LABEL: NAME}, "ports": ports}
            self._world.apply(
                SERVICE, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **space}, "spec": spec}
            )
        self._world.apply(TEMPLATE, analysis(self._world.namespace, self._world.prometheus.url))
        self._world.apply(HTTP_ROUTE, route(self._world.namespace, {STABLE: 100, CANARY: 0}))
        self._splits.start()
        self._analyses.start()
        self._put(OLD)
        wait_for("a healthy Rollout", lambda: self._phase() == "Healthy", WITHIN)

    def url(self) -> str:
        return self._world.url_of(NAME)

    def good(self) -> Moments:
        version = NEW if self._stable == OLD else OLD
        moments = self._run(version, "Successful", len(STEPS), 100)
        wait_for("a healthy Rollout", lambda: self._phase() == "Healthy", WITHIN)
        self._stable = version
        return Moments(moments.began, time.time(), moments.verdict, moments.weights)

    def prepare(self) -> None:
        self._pods[BAD] = self._world.template(BAD)

    def bad(self) -> Moments:
        moments = self._run(BAD, "Failed", 1, 0)
        wait_for("an aborted Rollout", lambda: self._phase() == "Degraded", WITHIN)
        ended = time.time()
        self._put(self._stable)
        wait_for("a healthy Rollout", lambda: self._phase() == "Healthy", WITHIN)
        return Moments(moments.began, ended, moments.verdict, moments.weights)

    def _run(self, version: str, phase: str, count: int, share: int) -> Moments:
        """A rollout up to the weights after its last verdict: the `count`th analysis that ends like that."""
        known, began = set(self._runs), time.time()
        self._put(version)

        def verdict() -> float:
            new = [found for name, found in self._runs.items() if name not in known]
            wrong = {how for _, how in new} & ({"Failed", "Error", "Inconclusive"} - {phase})
            if wrong:
                raise RuntimeError(f"Argo's analysis was to be {phase}: {', '.join(sorted(wrong))}")
            ended = sorted(at for at, how in new if how == phase)
            return ended[count - 1] if len(ended) >= count else 0.0

        at = wait_for(f"a verdict: {phase}", verdict, WITHIN)
        weights = self._weights.since(at, lambda found: found.get(CANARY) == share)
        return Moments(began, weights, at, weights)

    def _put(self, version: str) -> None:
        self._world.apply(ROLLOUT, rollout(self._world.namespace, self._pods[version], release(version)))

    def _phase(self) -> str:
        found = self._world.client.get(ROLLOUT.main, NAME, namespace=self._world.namespace)
        status = found.get("status") or {}
        if str(status.get("observedGeneration")) != str(found["metadata"]["generation"]):
            return ""
        return str(status.get("phase") or "")

    def _copy(self) -> None:
        split = self._splits.get((self._world.namespace, NAME))
        if split is None:
            return
        weights = {str(one["service"]): int(one["weight"]) for one in split["spec"]["backends"]}
        before = len(self._weights.seen)
        self._weights.note(weights)
        if len(self._weights.seen) > before:
            body = {"spec": route(self._world.namespace, weights)["spec"]}
            patch(self._world.client, HTTP_ROUTE, (self._world.namespace, NAME), body)
            self.copies.append(1000 * (time.time() - self._weights.seen[-1][0]))

    def _judged(self) -> None:
        now = time.time()
        for run in self._analyses.objects():
            name, how = str(run["metadata"]["name"]), str((run.get("status") or {}).get("phase", ""))
            if how and self._runs.get(name, (0.0, ""))[1] != how:
                self._runs = {**self._runs, name: (now, how)}


@contextmanager
def controller(world: World, argo: Argo) -> Iterator[None]:
    """Argo Rollouts' controller while the block runs. Its own servers would listen on every interface, and no flag says
    where: with ports that there are not they stay closed, which it logs."""
    command = [str(argo.program), "--kubeconfig", str(world.kubeconfig("argo-rollouts")), "--leader-elect=false"]
    command += ["--metricsport=-1", "--healthzPort=-1", "--traffic-split-api-version=v1alpha2", "--loglevel=info"]
    log = world.home / "argo-rollouts.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    except Exception:
        print(log.read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(20)


def analysis(namespace: str, prometheus: str) -> dict[str, Any]:
    """What Argo asks Prometheus each second of a step: the share of the canary's answers that are a 5xx."""
    named = f'environment="{NAME}",release="{{{{args.release}}}}"'
    bad = f'sum(rate({REQUESTS}{{{named},status=~"5.."}}[{WINDOW}s])) or vector(0)'
    query = f"({bad}) / sum(rate({REQUESTS}{{{named}}}[{WINDOW}s]))"
    metric = {
        "name": "errors",
        "interval": "1s",
        "initialDelay": f"{WINDOW}s",
        "count": BAKE - WINDOW + 1,
        "successCondition": f"result[0] <= {1 - OBJECTIVE:g}",
        "provider": {"prometheus": {"address": prometheus, "query": query}},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "errors", "namespace": namespace},
        "spec": {"args": [{"name": "release"}], "metrics": [metric]},
    }


def rollout(namespace: str, pods: Mapping[str, Any], release_id: str) -> dict[str, Any]:
    """A canary of one pod beside one: weights and an analysis after each."""
    digest = release_id.partition("@")[2]
    judged = {"templates": [{"templateName": "errors"}], "args": [{"name": "release", "value": digest}]}
    labels = {**pods["metadata"]["labels"], ENVIRONMENT_LABEL: NAME}
    canary = {
        "stableService": STABLE,
        "canaryService": CANARY,
        "trafficRouting": {"smi": {"trafficSplitName": NAME}},
        "steps": [step for weight in STEPS for step in ({"setWeight": weight}, {"analysis": judged})],
    }
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {ENVIRONMENT_LABEL: NAME}},
        "template": {**pods, "metadata": {"labels": labels, "annotations": pods["metadata"]["annotations"]}},
        "strategy": {"canary": canary},
    }
    metadata = {"name": NAME, "namespace": namespace}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": spec}


def route(namespace: str, weights: Mapping[str, int]) -> dict[str, Any]:
    """The HTTPRoute of Argo's users."""
    backends = [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]
    parent = {"name": NAME, "namespace": GATEWAY_NAMESPACE}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"parentRefs": [parent], "rules": [{"backendRefs": backends}]},
    }
