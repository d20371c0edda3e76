"""The demo by platform: its stacks, and when it takes a standby for ready."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from turnout_components.live import Group, Target

from infra.settings import parse
from turnout.cli.demo import PLATFORMS
from turnout.demo.front import front
from turnout.demo.models import MODELS
from turnout.stacks import load

ROOT = Path(__file__).parents[2]
HERE = {"TURNOUT_LOCAL_ENDPOINT": "http://127.0.0.1:9", "TURNOUT_LOCAL_KUBECONFIG": "/dev/null"}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_story_has_a_local_stack_on_each_platform(platform: str) -> None:
    model = MODELS["digits"]
    stack = load(ROOT, model.stack_on(platform))
    assert stack.platform == platform
    config = yaml.safe_load(stack.file.read_text())["config"]
    found = parse({key.removeprefix("turnout:"): value for key, value in config.items()}, ROOT, HERE)
    assert (found.platform.value, found.cloud.value) == (platform, "local")
    assert (found.endpoint is None, found.kubeconfig is None) == (platform == "kubernetes", platform == "ec2")
    assert found.environments.releases()["blue"].startswith(model.release(model.versions[0]) + "@")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("targets", "desired", "count"),
    [
        ({"a": "healthy", "b": "healthy"}, 2, 2),
        ({"a": "healthy"}, 2, None),
        ({"a": "healthy", "b": "initial"}, 2, None),
        ({"a": "healthy", "left": "healthy"}, 2, None),
        ({"a": "healthy", "b": "healthy", "left": "draining"}, 2, 2),
    ],
)
def test_a_standby_is_ready_with_all_that_its_workload_is_to_have(
    platform: str, targets: dict[str, str], desired: int, count: int | None
) -> None:
    group = Group("workload", desired, 4, desired, frozenset({"a", "b"}))
    live = SimpleNamespace(
        group={"workload": group}.get, targets=lambda _: [Target(name, state) for name, state in targets.items()]
    )
    state = SimpleNamespace(target_group="behind", group="workload")
    record = SimpleNamespace(environments={"green": state, "blue": SimpleNamespace(target_group="other", group=None)})
    access: Any = SimpleNamespace(
        live=live, store=SimpleNamespace(read=lambda: record), stack=SimpleNamespace(platform=platform)
    )
    cloud: Any = None
    assert front(access, cloud).healthy("green") == count
    assert front(access, cloud).healthy("blue") is None
