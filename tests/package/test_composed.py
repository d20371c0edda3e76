"""The examples that compose components: each runs on the local engine against moto, and the switch moves traffic."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.layout_rules import ROOT
from tests.package.conftest import REGION, Stack, Team, provider_inputs
from turnout.engine.deployment import Result
from turnout.engine.program import LocalProgram

EXAMPLES = ("own_network", "two_services", "switch_only", "switch_in_cluster")
DIGEST = "sha256:" + "ab" * 32
LOCAL = """
import runpy, sys
import pulumi_aws
sys.path.insert(0, {components!r})

class Provider(pulumi_aws.Provider):
    def __init__(self, name, region):
        super().__init__(name, region=region, endpoints={endpoints}, access_key="test", secret_key="test",
            skip_credentials_validation=True, skip_metadata_api_check=True, skip_region_validation=True,
            skip_requesting_account_id=True)

pulumi_aws.Provider = Provider
runpy.run_path({folder!r}, run_name="__main__")
"""
"""The example as it is, with a provider of a local cloud."""


class Example:
    """One example's stack in an account in moto."""

    def __init__(self, name: str, team: Team, stack: Stack) -> None:
        self.name, self.stack = name, stack
        declared = yaml.safe_load((ROOT / "examples" / name / "Pulumi.yaml").read_text())["config"]
        self.config: dict[str, Any] = {key: each["default"] for key, each in declared.items() if "default" in each}
        self.config |= {"region": REGION, "service": "assistant"}
        source = LOCAL.format(
            components=str(ROOT / "components"),
            endpoints=provider_inputs(team.endpoint)["endpoints"],
            folder=str(ROOT / "examples" / name),
        )
        (stack.folder / "main.py").write_text(source)
        self._keys = {"AWS_ENDPOINT_URL": team.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        self._program = LocalProgram(stack.folder / "main.py", stack.folder, env=self._keys)

    def up(self, **changes: Any) -> Result:
        return self._deployment(changes).up(self._program)

    def preview(self, **changes: Any) -> Result:
        return self._deployment(changes).preview(self._program)

    def turnout(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """The kit's command in a folder with this stack's settings."""
        shutil.copy(ROOT / "examples" / self.name / "Pulumi.yaml", self.stack.folder)
        settings = {
            f"{self.stack.project}:{key}": value for key, value in {**self.config, "cloud": "aws", "releases": "."}.items()
        }
        (self.stack.folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": settings}))
        env = {**os.environ, **self._keys, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "turnout", *words]
        return subprocess.run(command, cwd=self.stack.folder, env=env, capture_output=True, text=True)

    def _deployment(self, changes: dict[str, Any]) -> Any:
        self.config |= changes
        as_text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in self.config.items()}
        return self.stack.deployment({f"{self.stack.project}:{key}": value for key, value in as_text.items()})


@pytest.fixture
def example(team: Team, make_stack: Callable[[str], Stack]) -> Callable[[str], Example]:
    return lambda name: Example(name, team, make_stack(name.replace("_", "-")))


def test_the_switch_alone_moves_traffic_of_target_groups_that_exist_and_a_rollback_lasts(
    example: Callable[[str], Example], team: Team
) -> None:
    alone = example("switch_only")
    environments = {
        name: {
            "target_group_arn": team.target_groups[name],
            "group_name": team.groups[name],
            "release": f"llm-{name}@{DIGEST}",
            "minimum": 1,
            "maximum": 3,
        }
        for name in team.groups
    }
    place = {"load_balancer_arn": team.balancer, "port": 80, "gate_timeout": 2}
    made = alone.up(traffic={"active": "blue"}, environments=environments, **place)
    assert made.exit_code == 0, alone.stack.said()
    assert team.listeners() == {80: {"blue": 100, "green": 0}}

    assert alone.up(traffic={"active": "green"}).exit_code == 0, alone.stack.said()
    assert team.listeners() == {80: {"blue": 0, "green": 100}}

    back = alone.turnout("rollback", "--stack", "dev")
    assert back.returncode == 0, back.stderr
    assert team.listeners() == {80: {"blue": 100, "green": 0}}
    again = alone.up()
    assert (again.exit_code, again.outputs["weights"]) == (0, {"blue": 100, "green": 0})
    assert "the record wins" in again.outputs["traffic"]
    assert team.listeners() == {80: {"blue": 100, "green": 0}}

    assert alone.up(traffic={"active": "blue"}).exit_code == 0
    refused = alone.up(traffic={"active": "green"})
    assert refused.exit_code == 3, alone.stack.said()
    assert "was marked unstable" in alone.stack.said()
    assert "Traceback" not in alone.stack.said()


def test_the_switch_alone_refuses_an_environment_that_is_not_ready(example: Callable[[str], Example], team: Team) -> None:
    alone = example("switch_only")
    environments = {
        name: {"target_group_arn": team.target_groups[name], "group_name": team.groups[name], "minimum": 1, "maximum": 3}
        for name in team.groups
    }
    for name, each in environments.items():
        each["release"] = f"llm-{name}@{DIGEST}"
    team.withdraw("blue")
    refused = alone.up(
        traffic={"active": "blue"}, environments=environments, load_balancer_arn=team.balancer, port=80, gate_timeout=1
    )
    assert refused.exit_code == 3, alone.stack.said()
    assert "not ready after 1 s, so the weights stay" in alone.stack.said()
    assert team.listeners() == {}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_reads_as_a_story_and_says_what_it_shows(name: str) -> None:
    folder = Path(ROOT / "examples" / name)
    assert len((folder / "__main__.py").read_text().splitlines()) <= 60
    assert (folder / "Pulumi.yaml").exists()
    assert (folder / "README.md").read_text().startswith("# ")


@pytest.fixture
def certificate(team: Team) -> str:
    return str(team.api("acm").request_certificate(DomainName="assistant.example.com")["CertificateArn"])


def test_our_switch_stands_in_a_network_that_a_team_has(
    example: Callable[[str], Example], team: Team, certificate: str
) -> None:
    made = example("own_network")
    shown = yaml.safe_load((ROOT / "examples" / "own_network" / "Pulumi.prod.yaml").read_text())["config"]
    settings = {key.partition(":")[2]: value for key, value in shown.items()}
    network = {"vpc_id": team.vpc, "public_subnet_ids": team.subnets, "private_subnet_ids": team.subnets}
    planned = made.preview(**settings | {"network": network, "certificate_arn": certificate})
    assert planned.exit_code == 0, made.stack.said()
    states = made.stack.registered()
    assert not [urn for urn in states if "ec2/vpc:Vpc" in urn]
    (balancer,) = [state for urn, state in states.items() if "lb/loadBalancer:LoadBalancer" in urn]
    assert balancer["inputs"]["subnets"] == team.subnets
    (listener,) = [state for urn, state in states.items() if urn.endswith("::assistant-listener")]
    assert [group["weight"] for group in listener["inputs"]["defaultActions"][0]["forward"]["targetGroups"]] == [100, 0]
    assert sorted(state["inputs"]["maxSize"] for urn, state in states.items() if "autoscaling/group:Group" in urn) == [4, 4]


def test_two_services_share_a_load_balancer_on_ports_of_their_own(example: Callable[[str], Example], certificate: str) -> None:
    made = example("two_services")
    planned = made.preview(active={"chat": "blue", "search": "green"}, certificate_arn=certificate)
    assert planned.exit_code == 0, made.stack.said()
    states = made.stack.registered()
    assert len([urn for urn in states if "lb/loadBalancer:LoadBalancer" in urn]) == 1
    listeners = {urn.rpartition("::")[2]: state["inputs"] for urn, state in states.items() if "lb/listener:Listener" in urn}
    assert {name: found["port"] for name, found in listeners.items()} == {
        **{"chat-listener": 443, "chat-test": 8081, "chat-redirect": 80},
        **{"search-listener": 8443, "search-test": 8082},
    }
    forwards = {name: listeners[f"{name}-listener"]["defaultActions"][0]["forward"] for name in ("chat", "search")}
    assert [group["weight"] for group in forwards["chat"]["targetGroups"]] == [100, 0]
    assert [group["weight"] for group in forwards["search"]["targetGroups"]] == [0, 100]


@pytest.mark.slow
def test_two_services_share_a_load_balancer_and_flip_alone(
    example: Callable[[str], Example], team: Team, certificate: str
) -> None:
    made = example("two_services")
    first = made.up(active={"chat": "blue", "search": "blue"}, certificate_arn=certificate)
    assert first.exit_code == 0, made.stack.said()
    (balancer,) = [
        found["LoadBalancerArn"]
        for found in team.api("elbv2").describe_load_balancers()["LoadBalancers"]
        if found["LoadBalancerArn"] != team.balancer
    ]
    ports = {found["Port"] for found in team.api("elbv2").describe_listeners(LoadBalancerArn=balancer)["Listeners"]}
    assert ports == {80, 443, 8443, 8081, 8082}

    second = made.up(active={"chat": "blue", "search": "green"})
    assert second.exit_code == 0, made.stack.said()
    assert second.outputs == {"chat": {"blue": 100, "green": 0}, "search": {"blue": 0, "green": 100}}
