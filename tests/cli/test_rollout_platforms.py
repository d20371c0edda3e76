"""Steps of a rollout that a stack's platform does not have are refused before anything is touched."""

from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import STACK
from turnout.access import Access
from turnout.cloud.client import CloudHandle
from turnout.rollouts import Rollouts
from turnout.stacks import StackError, load


@pytest.mark.parametrize(
    ("platform", "lacking"),
    [
        ("eks", "nothing before the pods of an EKS cluster copies them"),
        ("kubernetes", "the local cluster has no logs to compare"),
    ],
)
def test_a_mirror_is_refused_where_there_is_none(project: Path, platform: str, lacking: str) -> None:
    config = {**STACK["config"], "turnout:platform": platform, "turnout:cluster": {"name": "gpus"}}
    (project / "stacks/Pulumi.local.yaml").write_text(yaml.safe_dump({"config": config}))
    nowhere = "http://127.0.0.1:9"
    access = Access(load(project, "local"), nowhere, "nowhere/kubeconfig")
    rollouts = Rollouts(access, CloudHandle(nowhere, 0, project / ".turnout"))
    with pytest.raises(StackError) as refused:
        rollouts.prepare(rollouts.spec({"strategy": "shadow"}))
    (line,) = str(refused.value).splitlines()
    assert line.endswith(f"mirrors requests, and {lacking} (docs/switch-on-kubernetes.md); take the mirror out of its steps")
