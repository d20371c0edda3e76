"""The story of the switch on a real API server, by platform: up, flips, a flip that is refused, a rollback, under traffic."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from turnout_components.release import parse

from benchmarks.traffic import load
from turnout.access import Access
from turnout.cloud import client
from turnout.cluster.binaries import Binaries
from turnout.demo.front import front
from turnout.demo.home import DemoHome
from turnout.stacks import load as load_stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
RELEASES = ROOT / "examples" / "digits" / "releases"
FLIPS = 10


class Operator:
    """Somebody at a terminal, in a copy of the project with a local cluster of its own."""

    def __init__(self, home: DemoHome, cloud: client.CloudHandle, stack: str) -> None:
        self._home, self._stack = home, stack
        self.access = Access(load_stack(home.project, stack), cloud.endpoint, str(cloud.kubeconfig))
        self.front = front(self.access, cloud)

    def turnout(self, *words: str, code: int = 0) -> dict[str, Any]:
        """What a command says as JSON; it ends with `code`."""
        command = [sys.executable, "-m", "turnout", *words, "--stack", self._stack, "--json"]
        environment = {**os.environ, "TURNOUT_HOME": str(self._home.folder)}
        done = subprocess.run(command, cwd=self._home.project, capture_output=True, text=True, env=environment, timeout=700)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def wait(self, condition: Callable[[], object], seconds: float = 300.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
            time.sleep(0.1)


def release(version: str) -> str:
    return parse(RELEASES / f"digits-{version}.yaml").id


@pytest.fixture(scope="module", params=["kubernetes", "eks"])
def operator(
    request: pytest.FixtureRequest,
    binaries: Binaries,  # noqa: ARG001 -- skips without
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Operator]:
    """1.0.0 in blue with all traffic, 2.0.0 in green; a pod each."""
    platform: str = request.param
    stack = f"local-{platform}"
    home = DemoHome(tmp_path_factory.mktemp(f"flips-{platform}") / "home")

    def two(config: dict[str, Any]) -> None:
        config["environments"] = {"blue": {"release": release("1.0.0")}, "green": {"release": release("2.0.0")}}
        config["pool"] = {**config["pool"], "minimum": 1, "launch_timeout": 600}
        config["traffic"] = {**config["traffic"], "gate_timeout": "600s"}

    home.write_project(load_stack(ROOT, stack), two)
    cloud = client.start(
        home.folder,
        attached=True,
        speed=10.0,
        images=[RELEASES.parent],
        root=ROOT,
        program=("turnout.cluster", "--platform", platform),
    )
    try:
        one = Operator(home, cloud, stack)
        one.turnout("init")
        one.turnout("up")
        one.wait(lambda: one.front.healthy("green"))
        yield one
    finally:
        cloud.stop()
        home.close(keep=False)


def test_flips_and_a_rollback_lose_no_request_and_a_refused_flip_moves_none(operator: Operator, tmp_path: Path) -> None:
    seconds = []
    with load(operator.front.urls()[0], 100, tmp_path / "load.json") as traffic:
        for environment in ["green", "blue"] * (FLIPS // 2):
            began = time.monotonic()
            assert operator.turnout("flip", environment)["traffic"]["active"] == environment
            seconds.append(time.monotonic() - began)
            assert operator.front.weights()[environment] == 100
        back = operator.turnout("rollback")
        assert operator.front.weights() == {"blue": 0, "green": 100}
        refused = operator.turnout("flip", "blue", code=3)
        assert operator.front.weights() == {"blue": 0, "green": 100}
    sent, lost = traffic.result["requests_sent"], traffic.lost
    print(f"{len(seconds)} flips, median {statistics.median(seconds):.1f} s; a rollback; {sent} requests, lost: {lost or 0}")
    assert "marked unstable" in refused["error"]["message"]
    assert back["config"] == "turnout:traffic.active: green"
    assert lost == {}
    assert set(traffic.result["releases"]) == {"1.0.0", "2.0.0"}


def test_commands_tell_what_is_live_and_an_update_without_a_change_changes_nothing(operator: Operator) -> None:
    found = operator.turnout("status")
    states = {one["name"]: one for one in found["environments"]}
    active = found["active"]
    assert (found["agrees"], states[active]["weight_live"], states[active]["targets"]) == (True, 100, {"healthy": 1})
    assert states[active]["instances"]["in_service"] == 1
    assert set(operator.turnout("up")["changes"]) <= {"same"}
    named = json.dumps(operator.turnout("releases", "list"))
    assert release("1.0.0") in named
    assert release("2.0.0") in named
