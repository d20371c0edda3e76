"""The example of the switch alone in a cluster, as it is: on the local engine, with a real API server and its controllers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from switched_service import RELEASES, Service, controller

from tests.kubernetes.conftest import Cluster
from tests.layout_rules import ROOT
from tests.package.conftest import Stack
from turnout.engine.deployment import Result
from turnout.engine.program import LocalProgram

FOLDER = ROOT / "examples" / "switch_in_cluster"
LOCAL = """
import runpy, sys
import pulumi_kubernetes
sys.path.insert(0, {components!r})

class Provider(pulumi_kubernetes.Provider):
    def __init__(self, name, context):
        super().__init__(name, context=context, kubeconfig={kubeconfig!r})

pulumi_kubernetes.Provider = Provider
runpy.run_path({folder!r}, run_name="__main__")
"""
"""The example as it is, with a provider that names its kubeconfig, as the local engine asks for one."""


class Example:
    """The example's stack `dev` for `service`."""

    def __init__(self, service: Service, stack: Stack) -> None:
        self.stack, self._env = stack, {"KUBECONFIG": str(service.kubeconfig)}
        context = yaml.safe_load(service.kubeconfig.read_text())["current-context"]
        settings = {f"switch-in-cluster:{key}": value for key, value in self._settings(service, context).items()}
        (stack.folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": settings}))
        shutil.copy(FOLDER / "Pulumi.yaml", stack.folder)
        source = LOCAL.format(components=str(ROOT / "components"), folder=str(FOLDER), kubeconfig=str(service.kubeconfig))
        (stack.folder / "main.py").write_text(source)

    def _settings(self, service: Service, context: str) -> dict[str, Any]:
        environments = {
            name: {"service": f"svc-{name}", "deployment": f"svc-{name}-1", "release": release, "minimum": 1, "maximum": 3}
            for name, release in RELEASES.items()
        }
        return {
            **{"service": "svc", "cloud": "cluster", "platform": "kubernetes", "releases": ".", "gate_timeout": 60},
            **{"namespace": service.namespace, "kubernetes": {"context": context}, "environments": environments},
            **{"gateway": {"name": "gw"}, "traffic": {"active": "blue"}},
        }

    def up(self, **changes: Any) -> Result:
        file = self.stack.folder / "Pulumi.dev.yaml"
        config = yaml.safe_load(file.read_text())["config"]
        config |= {f"switch-in-cluster:{key}": value for key, value in changes.items()}
        file.write_text(yaml.safe_dump({"config": config}))
        as_text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        return self.stack.deployment(as_text).up(LocalProgram(self.stack.folder / "main.py", self.stack.folder, env=self._env))

    def turnout(self, *words: str) -> "subprocess.CompletedProcess[str]":
        env = {**os.environ, **self._env, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "turnout", *words, "--stack", "dev"]
        return subprocess.run(command, cwd=self.stack.folder, env=env, capture_output=True, text=True)


@pytest.fixture
def service(cluster: Cluster, namespace: str) -> Iterator[Service]:
    """What the team has: two Services, a Deployment behind each, and a Gateway's controller. Green's pods find no node yet."""
    made = Service(cluster.kubeconfig, namespace)
    made.expose()
    made.groups |= {"blue": made.deploy("blue", 1), "green": made.deploy("green", 1, nowhere="true")}
    with controller(made):
        yield made


@pytest.fixture
def example(service: Service, tmp_path: Path) -> Example:
    made = Example(service, Stack(tmp_path, "switch-in-cluster"))
    begun = made.turnout("init")
    assert begun.returncode == 0, begun.stderr
    return made


def test_the_switch_alone_moves_traffic_of_services_that_exist_and_a_rollback_lasts(example: Example, service: Service) -> None:
    made = example.up()
    assert made.exit_code == 0, example.stack.said()
    assert service.weights == {"blue": 100, "green": 0}

    refused = example.up(traffic={"active": "green"}, gate_timeout=2)
    assert refused.exit_code == 3, example.stack.said()
    assert "not ready after 2 s, so the weights stay" in example.stack.said()
    assert service.weights == {"blue": 100, "green": 0}

    anywhere = {"spec": {"template": {"spec": {"nodeSelector": None}}}}
    service.api.patch("Deployment", service.namespace, "svc-green-1", anywhere)
    assert example.up(gate_timeout=60).exit_code == 0, example.stack.said()
    assert service.weights == {"blue": 0, "green": 100}

    back = example.turnout("rollback")
    assert back.returncode == 0, back.stderr
    assert service.weights == {"blue": 100, "green": 0}
    again = example.up()
    assert (again.exit_code, again.outputs["weights"]) == (0, {"blue": 100, "green": 0})
    assert "the record wins" in again.outputs["traffic"]

    assert example.up(traffic={"active": "blue"}).exit_code == 0
    assert example.up(traffic={"active": "green"}).exit_code == 3
    assert "was marked unstable" in example.stack.said()
