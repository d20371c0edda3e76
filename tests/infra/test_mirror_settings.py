"""Envoy's image in a stack's config: what goes with it, and what needs it."""

from pathlib import Path
from typing import Any

import pytest
from stack_config import fault, read

ENVOY = "docker.io/envoyproxy/envoy@sha256:" + "ef" * 32
AWS: dict[str, Any] = {"cloud": "aws", "ingress__allowed_cidrs": ["10.0.0.0/8"]}


def test_nodes_run_no_mirror_unless_the_stack_names_an_image(root: Path) -> None:
    assert read(root).pool.mirror_image is None
    assert read(root, **AWS, pool__mirror_image=ENVOY, rollout={"strategy": "shadow"}).pool.mirror_image == ENVOY


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"pool__mirror_image": "envoyproxy/envoy:v1.36"},
            'turnout:pool.mirror_image = "envoyproxy/envoy:v1.36": names no digest; write <image of Envoy>@sha256:',
        ),
        (
            {"pool__mirror_image": ENVOY, "pool__port": 15001},
            "turnout:pool.port = 15001: is a port of the mirror's Envoy; write another",
        ),
        (
            {**AWS, "pool__mirror_image": ENVOY, "ingress__protocol": "tcp", "pool__port": 9000},
            f'turnout:pool.mirror_image = "{ENVOY}": copies requests of HTTP/1.1, not connections; write ingress.pr',
        ),
        (
            {**AWS, "rollout": {"strategy": "shadow"}},
            "turnout:pool.mirror_image = (nothing): is missing: turnout:rollout has a mirror, and no node could run it; write",
        ),
        (
            {**AWS, "rollout": {"steps": [{"mirror": 10, "for": "10m"}, {"set_weight": 100}]}},
            "turnout:pool.mirror_image = (nothing): is missing",
        ),
    ],
    ids=["tag", "port", "tcp", "shadow", "step"],
)
def test_what_cannot_be_is_told(root: Path, changes: dict[str, Any], line: str) -> None:
    assert fault(root, **changes).startswith(line)


def test_the_local_cloud_mirrors_without_an_image(root: Path) -> None:
    assert read(root, rollout={"strategy": "shadow"}).pool.mirror_image is None


def test_user_data_is_judged_with_the_mirror_in_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("infra.rules.checks.user_data_size", lambda script: seen.append(script) or [])
    read(root)
    read(root, pool__mirror_image=ENVOY)
    alone, mirroring = map(len, seen)
    assert alone + 3000 < mirroring < 16_384
