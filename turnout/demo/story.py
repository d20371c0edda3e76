"""The story, told under traffic: deploy, smoke test, flip, a bad release, rollback.

Everything goes the way an operator's commands go: config, `turnout.deploy` and, for the rollback, the command itself in a
process of its own.
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from turnout_components.items import create_table
from turnout_components.items_cluster import make_namespace
from turnout_components.release import parse

from turnout import deploy, stacks
from turnout.access import Access
from turnout.cloud.client import CloudHandle
from turnout.demo import report as reports
from turnout.demo.front import Front, front
from turnout.demo.home import DemoHome
from turnout.demo.models import Model
from turnout.demo.report import Report
from turnout.demo.traffic import Traffic, failed, smoke_test
from turnout.demo.view import View, one_line
from turnout.interrupts import Interrupted
from turnout.stacks import KUBERNETES, Stack

_ROLLBACK_SECONDS = 60.0
_HEALTHY_SECONDS = 60.0
_WEIGHTS_EVERY = 0.03
_CHAPTERS = 8


class DemoFailed(Exception):
    """The story cannot go on; the message says where it stopped."""


@dataclass
class _Told:
    """What the story has measured so far."""

    began: float = field(default_factory=time.monotonic)
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    engine: str = ""
    flip_seconds: float = 0.0
    rollback_seconds: float = 0.0
    weights_after_rollback: dict[str, int] = field(default_factory=dict)
    unstable: list[str] = field(default_factory=list)
    smoke: dict[str, Any] = field(default_factory=dict)


class Story:
    """One run of a model's story in `home`, with the releases beside `source`, the stack as the project has it."""

    def __init__(self, model: Model, source: Stack, home: DemoHome, cloud: CloudHandle, view: View) -> None:
        self._model, self._source, self._home, self._cloud, self._view = model, source, home, cloud, view
        self._old, self._new, self._bad = model.versions
        self._releases = {each: parse(source.releases / f"{model.release(each)}.yaml").id for each in model.versions}
        home.write_project(source, self._starting_config)
        self._stack = stacks.load(home.project, source.name)
        self._access = Access(self._stack, cloud.endpoint, str(cloud.kubeconfig) if cloud.kubeconfig else None)
        self._told = _Told()
        self._chapter = 0

    def run(self) -> Report:
        """Tells the story and returns its report.

        Raises `DemoFailed`, `TrafficError`."""
        self._begin_chapter(f"bring the service up: blue serves {self._old}")
        self._init()
        self._up()
        traffic = self._send_traffic()
        self._watch(traffic, f"{self._old} on blue")
        self._deploy_new(traffic)
        self._flip_to_new(traffic)
        self._flip_to_bad(traffic)
        self._roll_back(traffic)
        self._watch(traffic, "recovered")
        result = traffic.finish()
        self._begin_chapter("take everything down")
        self._deploy("destroy")
        return self._report(result)

    def _starting_config(self, config: dict[str, Any]) -> None:
        config["environments"] = {"blue": {"release": self._releases[self._old]}, "green": {"release": None}}
        traffic = {key: value for key, value in config["traffic"].items() if key != "weights"}
        config["traffic"] = {**traffic, "active": "blue"}

    def _init(self) -> None:
        if self._stack.platform == KUBERNETES:
            make_namespace(self._access.cluster, self._stack.record_table)
        else:
            create_table(self._access.client("dynamodb"), self._stack.record_table, protect=False)

    def _send_traffic(self) -> Traffic:
        url = self._front.urls()[0]
        self._begin_chapter(self._model.traffic)
        traffic = Traffic(self._home, self._source.root, url, self._model, self._view.numbers)
        if not traffic.wait(lambda now: now["sent"] > 0, 20):
            raise DemoFailed("the load generator sent nothing within 20 s")
        return traffic

    def _deploy_new(self, traffic: Traffic) -> None:
        self._begin_chapter(f"deploy {self._new} to the standby, green")
        traffic.mark(f"deploy {self._new}")
        self._configure({"environments.green.release": self._releases[self._new]})
        self._up()
        self._wait_until_healthy("green")
        self._begin_chapter("smoke-test green on the test listener; users see none of it")
        traffic.mark("smoke test")
        self._smoke()

    def _smoke(self) -> None:
        found = smoke_test(self._home, self._source.root, self._model, self._front.urls()[1], "green")
        self._told.smoke = found
        if found["answered"] < found["asked"] or found["versions"] != [self._new]:
            raise DemoFailed(f"the smoke test of green found {json.dumps(found)}; {self._new} was to answer all of it")
        answered = f"{found['answered']} of {found['asked']} {self._model.asked} answered by {self._new}"
        self._view.say(f"{answered}, {100 * found['accuracy']:.0f} % right, p95 {found['p95_ms']} ms")

    def _flip_to_new(self, traffic: Traffic) -> None:
        self._begin_chapter("flip: green becomes active, blue is kept for rollback")
        traffic.mark(f"flip to {self._new}")
        began = time.monotonic()
        self._configure({"traffic.active": "green"})
        self._up()
        self._told.flip_seconds = time.monotonic() - began
        self._view.say(f"flipped in {self._told.flip_seconds:.1f} s: config, refresh, gate, weights, record")
        self._watch(traffic, f"{self._new} on green")

    def _flip_to_bad(self, traffic: Traffic) -> None:
        self._begin_chapter(f"{self._bad} goes to blue (giving {self._old} up) and, without a smoke test, live")
        traffic.mark(f"deploy {self._bad}")
        self._configure(
            {"environments.blue.release": self._releases[self._bad], "traffic.standby.discard": self._model.release(self._old)}
        )
        self._up()
        traffic.mark(f"flip to {self._bad}")
        self._configure({"traffic.active": "blue"})
        self._up()
        traffic.mark(f"{self._bad} on blue")
        model, bad = self._model, self._bad
        seen = traffic.wait(lambda now: failed(now) >= model.bad_errors and now["shares"].get(bad, 0) > 0.9, model.bad_seconds)
        if not seen:
            raise DemoFailed(f"{bad} answered for {model.bad_seconds:.0f} s and nobody saw errors")
        self._tell(traffic)

    def _roll_back(self, traffic: Traffic) -> None:
        self._begin_chapter("errors and latency are up: turnout rollback")
        traffic.mark("rollback")
        began = time.monotonic()
        asked = [sys.executable, "-m", "turnout", "rollback", "--stack", self._stack.name, "--json"]
        command = self._home.spawn(asked, self._home.project, leashed=False)
        while self._front.weights().get("blue") != 0:
            if time.monotonic() - began > _ROLLBACK_SECONDS or command.poll() not in (None, 0):
                break
            time.sleep(_WEIGHTS_EVERY)
        self._told.rollback_seconds = time.monotonic() - began
        output, _ = command.communicate(timeout=_ROLLBACK_SECONDS)
        done = json.loads(output or b"{}")
        if command.returncode:
            raise DemoFailed(f"turnout rollback ended with {command.returncode}: {done.get('error', {}).get('message', '')}")
        self._told.weights_after_rollback = self._front.weights()
        self._view.say(f"0 % for {self._bad} {self._told.rollback_seconds:.2f} s after the command began")
        self._view.say(f"to commit: {done['config']}")
        record = self._access.store.read()
        self._told.unstable = [mark.release for mark in record.unstable.values()] if record else []
        if not traffic.wait(lambda now: self._bad not in now["shares"], self._model.settle_seconds):
            raise DemoFailed(f"{self._bad} still answers users after the rollback")

    def _watch(self, traffic: Traffic, phase: str) -> None:
        traffic.mark(phase)
        end = time.monotonic() + self._model.steady_seconds
        traffic.wait(lambda now: time.monotonic() >= end, self._model.steady_seconds + 1)
        self._tell(traffic)

    def _tell(self, traffic: Traffic) -> None:
        self._view.say(one_line(traffic.latest))

    def _begin_chapter(self, title: str) -> None:
        self._chapter += 1
        self._view.phase(self._chapter, _CHAPTERS, title)

    def _configure(self, values: Mapping[str, str]) -> None:
        deploy.configure(self._stack, self._home.folder, values)

    def _up(self) -> None:
        self._deploy("up")

    def _deploy(self, operation: deploy.Operation) -> None:
        outcome = deploy.run(self._stack, operation, self._home.folder, self._view)
        self._told.engine = outcome.engine
        if outcome.code == deploy.INTERRUPTED:
            raise Interrupted
        if outcome.code:
            raise DemoFailed(f"{operation} failed:\n" + "\n".join(outcome.errors))
        changed = ", ".join(
            f"{count} {name}" for name, count in outcome.changes.items() if count and name not in ("same", "refresh")
        )
        self._view.say(f"{operation}: {changed or 'no changes'} in {outcome.seconds:.1f} s")

    @cached_property
    def _front(self) -> Front:
        return front(self._access, self._cloud)

    def _wait_until_healthy(self, environment: str) -> None:
        """A standby's servers start after the update that deployed it; a smoke test before that would ask nobody."""
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while time.monotonic() < deadline:
            if count := self._front.healthy(environment):
                self._view.say(f"all {count} targets of {environment} are healthy")
                return
            time.sleep(0.1)
        raise DemoFailed(f"{environment} has no healthy targets after {_HEALTHY_SECONDS:.0f} s")

    def _report(self, result: Mapping[str, Any]) -> Report:
        told = self._told
        own = reports.failed_by_releases(result)
        lost = int(result["requests_lost"]) - own
        return Report(
            result="failed" if lost else "passed",
            problem=f"{lost} requests lost: {result['lost_by_kind']}" if lost else None,
            engine=told.engine,
            started_at=told.started_at,
            seconds=round(time.monotonic() - told.began, 1),
            requests_sent=result["requests_sent"],
            requests_lost=lost,
            requests_failed=own,
            lost_by_kind=result["lost_by_kind"],
            flip_seconds=round(told.flip_seconds, 2),
            rollback_seconds=round(told.rollback_seconds, 3),
            weights_after_rollback=told.weights_after_rollback,
            unstable=told.unstable,
            smoke_test=told.smoke,
            streams=reports.streams(result),
            phases=reports.phases(result, self._model.environment_of),
            releases=reports.release_figures(result),
            versions=reports.versions(),
        )
