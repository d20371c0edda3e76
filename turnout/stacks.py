"""Where a stack lives: read from Pulumi.yaml and the stack's file, without Pulumi.

The operator's commands need a few values of a stack's config (service, cloud, region, table); `infra/settings.py` is what
validates all of it at a deployment.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT_FILE = "Pulumi.yaml"
DEFAULT_RECORD_TABLE = "turnout-switch"
LOCAL = "local"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Both are safe; the one in C saves a rollback 15 ms."""
CLUSTER = "cluster"
_CLOUDS = (LOCAL, "aws", CLUSTER)
EC2, EKS, KUBERNETES = "ec2", "eks", "kubernetes"
_PLATFORMS = (EC2, EKS, KUBERNETES)


class StackError(ValueError):
    """A project or stack file cannot be used; the message names file, field and fix."""


@dataclass(frozen=True)
class Stack:
    """The part of a stack's config that finds it in its cloud."""

    name: str
    project: str
    root: Path
    """The folder that holds Pulumi.yaml."""
    file: Path
    service: str
    cloud: str
    """`local`, `aws`, or `cluster`: a Kubernetes cluster that exists."""
    region: str
    """Of AWS; empty where nothing is in AWS."""
    record_table: str
    releases: Path
    environments: Mapping[str, str | None]
    """Release id by environment, as config says."""
    active: str
    config: Mapping[str, Any]
    """The whole config without its namespace, as it is written."""
    platform: str = EC2
    """`ec2`, `eks` or `kubernetes`."""

    @property
    def is_local(self) -> bool:
        return self.cloud == LOCAL

    def part(self, *keys: str) -> Any:
        """A value deep in the config, or None where it, or a part on the way to it, is not there."""
        found: Any = self.config
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    @property
    def config_file(self) -> str:
        """The stack's file as a message names it: from the project root."""
        return os.path.relpath(self.file, self.root)


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` with a Pulumi.yaml.

    Raises `StackError` when there is none."""
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate
    raise StackError(f"no {PROJECT_FILE} in {folder} or above; run turnout inside a project")


def home_of(root: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for state that is not committed: TURNOUT_HOME, or `.turnout` in the project."""
    named = environ.get("TURNOUT_HOME")
    return Path(named).resolve() if named else root / ".turnout"


def load(root: Path, name: str) -> Stack:
    """The stack of that name.

    Raises `StackError` when a file or a value is missing or wrong."""
    settings = _read(root / PROJECT_FILE)
    project = _text(settings, "name", root / PROJECT_FILE)
    folder = root / str(settings.get("stackConfigDir") or ".")
    file = folder / f"Pulumi.{name}.yaml"
    if not file.is_file():
        known = sorted(path.name.split(".")[1] for path in folder.glob("Pulumi.*.yaml"))
        raise StackError(f"no stack {name!r}: {file} does not exist; stacks: {', '.join(known) or 'none'}")
    config = {
        key.removeprefix(f"{project}:"): value
        for key, value in (_read(file).get("config") or {}).items()
        if key.startswith(f"{project}:")
    }
    return _stack(root, project, name, file, config)


def _stack(root: Path, project: str, name: str, file: Path, config: Mapping[str, Any]) -> Stack:
    cloud = _text(config, "cloud", file, project)
    if cloud not in _CLOUDS:
        raise StackError(f"{file}: {project}:cloud = {cloud!r}: write {', '.join(_CLOUDS[:-1])} or {_CLOUDS[-1]}")
    platform = config.get("platform", EC2)
    if platform not in _PLATFORMS:
        raise StackError(f"{file}: {project}:platform = {platform!r}: write {', '.join(_PLATFORMS[:-1])} or {_PLATFORMS[-1]}")
    if cloud == CLUSTER and platform != KUBERNETES:
        raise StackError(f"{file}: {project}:platform = {platform!r}: cloud {CLUSTER} is of platform {KUBERNETES}; write that")
    environments = _mapping(config, "environments", file, project)
    traffic = _mapping(config, "traffic", file, project)
    return Stack(
        name=name,
        project=project,
        root=root,
        file=file,
        service=_text(config, "service", file, project),
        cloud=cloud,
        region=str(config.get("region") or "") if platform == KUBERNETES else _text(config, "region", file, project),
        record_table=str(config.get("record_table") or DEFAULT_RECORD_TABLE),
        releases=root / _text(config, "releases", file, project),
        environments={key: (value or {}).get("release") for key, value in environments.items()},
        active=_text(traffic, "active", file, f"{project}:traffic", "."),
        config=config,
        platform=platform,
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open() as content:
            found = yaml.load(content, Loader=_LOADER)
    except (OSError, yaml.YAMLError) as error:
        raise StackError(f"{file} cannot be read: {_where_and_what(error)}") from None
    if not isinstance(found, dict):
        raise StackError(f"{file} holds no settings; see docs/cli.md")
    return found


def _text(values: Mapping[str, Any], key: str, file: Path, prefix: str = "", joint: str = ":") -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value:
        field = f"{prefix}{joint}{key}" if prefix else key
        raise StackError(f"{file}: {field} = {value!r}: give it a value")
    return value


def _mapping(values: Mapping[str, Any], key: str, file: Path, project: str) -> dict[str, Any]:
    value = values.get(key)
    if not isinstance(value, dict) or not value:
        raise StackError(f"{file}: {project}:{key} = {value!r}: give it its keys")
    return value


def _where_and_what(error: Exception) -> str:
    """What a YAML parser found, and where, on one line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark and problem else str(error)
