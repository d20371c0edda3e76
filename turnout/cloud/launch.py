"""What an instance is to run, from its user data: image, verified model, secrets, command and environment."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turnout_components.user_data import read_release

from turnout.cloud import images, models, node_secrets
from turnout.cloud.images import ImageError
from turnout.cloud.models import ModelError
from turnout.cloud.node_secrets import SecretError

_PRIVATE = ("AWS_", "PULUMI_", "TURNOUT_")
"""Environment variables of the daemon that a model server does not get."""


class LaunchError(ValueError):
    """An instance that cannot serve; the message says what does not fit and what to do."""


@dataclass(frozen=True)
class Node:
    """What user data asks for. `boot`: seconds of each stage (`boot.Boot`); `drain`: seconds that a stopping server may take;
    `secrets`: references by variable; `hooks`: the lifecycle hooks that the node completes, by `launch` and `terminate`;
    `health`: where its server says that it is ready; `patience`: seconds after which it gives up its launch;
    `log_group`: where its server's output goes."""

    environment: str
    release: dict[str, Any]
    boot: Mapping[str, float] = field(default_factory=dict)
    drain: float = 30.0
    secrets: Mapping[str, str] = field(default_factory=dict)
    hooks: Mapping[str, str] = field(default_factory=dict)
    health: str = "/ready"
    patience: float = 1800.0
    log_group: str = ""

    @property
    def release_id(self) -> str:
        """`<name>@sha256:<hex>`."""
        return f"{self.release.get('name', '?')}@{self.release.get('digest', '?')}"


@dataclass(frozen=True)
class Start:
    """How to start a model server."""

    command: tuple[str, ...]
    env: dict[str, str]


def parse(user_data: str) -> Node | None:
    """What the user data asks for, or None where it is not this kit's.

    Raises `LaunchError` where it is ours and malformed."""
    try:
        node = read_release(user_data)
        if node is None:
            return None
        return Node(
            str(node["environment"]),
            dict(node["release"]),
            {str(name): float(seconds) for name, seconds in node.get("boot", {}).items()},
            float(node.get("drain", 30.0)),
            dict(node.get("secrets", {})),
            dict(node.get("hooks", {})),
            str(node.get("health", "/ready")),
            float(node.get("launch_timeout", 1800)),
            str(node.get("log_group", "")),
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LaunchError(f"user data names no release that can be read: {error}") from None


def prepare(
    node: Node, instance: str, port: int, folder: Path, catalogue: Sequence[Path], store: Path, region: str = ""
) -> Start:
    """Finds the image, fetches and verifies the model into `store`, resolves the secrets, writes the release into the
    instance's folder. Secrets are in `Start.env` and nowhere else.

    Raises `LaunchError` when the image, the model or a secret does not fit."""
    release = node.release
    try:
        image = images.find(release["image"], catalogue)
        model = models.fetch(release["model"]["uri"], release["model"]["sha256"], image, store)
        flags = [str(flag) for flag in release["engine"]["flags"]]
        own = {str(name): str(value) for name, value in release["engine"].get("env", {}).items()}
        own |= node_secrets.resolve(node.secrets, region)
    except (ImageError, ModelError, SecretError) as error:
        raise LaunchError(str(error)) from None
    except (KeyError, TypeError) as error:
        raise LaunchError(f"release {node.release_id} is malformed: {error} is missing") from None
    manifest = folder / "release.json"
    manifest.write_text(json.dumps(release, indent=1, sort_keys=True))
    command = image.started_by(sys.executable, str(image.folder))
    env = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
    return Start((*command, *flags), env | own | images.told(instance, port, manifest, str(release["digest"]), model))
