"""A stack's config in a project of its own, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from turnout_components.release import parse as parse_manifest

from infra.settings import ConfigFaults, Settings, parse

LOCAL = {"TURNOUT_LOCAL_ENDPOINT": "http://127.0.0.1:4566"}
IMAGE = "vllm/vllm-openai@sha256:" + "ab" * 32
MANIFEST: dict[str, Any] = {
    "model": {"name": "llm", "version": "1", "uri": "s3://models/llm", "sha256": "sha256:" + "cd" * 32},
    "image": IMAGE,
    "engine": {"name": "vllm", "flags": ["--timeout-keep-alive=75"]},
}


def write(root: Path, manifest: dict[str, Any]) -> None:
    (root / "releases" / "llm-1.yaml").write_text(yaml.safe_dump(manifest))


def release_id(root: Path) -> str:
    return parse_manifest(root / "releases" / "llm-1.yaml").id


def config(root: Path, **changes: Any) -> dict[str, Any]:
    """A sound config; `a__b=value` changes the value at a.b, and None there removes nothing but sets null."""
    base: dict[str, Any] = {
        "service": "llm",
        "cloud": "local",
        "region": "us-east-1",
        "releases": "releases",
        "network": {"cidr": "10.20.0.0/16", "zones": ["us-east-1a", "us-east-1b"], "nat": "single"},
        "ingress": {"port": 80, "allowed_cidrs": ["0.0.0.0/0"]},
        "pool": {"instance_type": "g5.xlarge", "minimum": 1, "maximum": 2},
        "health": {"path": "/ready"},
        "environments": {
            "blue": {"release": changes.get("environments__blue__release") or release_id(root)},
            "green": {"release": None},
        },
        "traffic": {"active": "blue", "standby": {"keep": "full"}},
    }
    for path, value in changes.items():
        at = base
        *parts, last = path.split("__")
        for part in parts:
            at = at.setdefault(part, {})
        at[last] = value
    return base


def read(root: Path, environ: dict[str, str] = LOCAL, **changes: Any) -> Settings:
    return parse(config(root, **changes), root, environ)


def faults(root: Path, environ: dict[str, str] = LOCAL, **changes: Any) -> list[str]:
    with pytest.raises(ConfigFaults) as refused:
        read(root, environ, **changes)
    return refused.value.faults


def fault(root: Path, environ: dict[str, str] = LOCAL, **changes: Any) -> str:
    (line,) = faults(root, environ, **changes)
    return line
