"""Policy packs as they lie in a folder and are configured: PulumiPolicy.yaml, the JSON of `--policy-pack-config`, levels.

The rules are Pulumi's ("Configuring policy packs": the level under `all` takes the place of every policy's own, a policy's
own entry that of both). Of a policy's schema `required`, `type`, `enum`, `minimum` and `maximum` are checked.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

ADVISORY, MANDATORY, DISABLED, REMEDIATE = "advisory", "mandatory", "disabled", "remediate"
LEVELS = (ADVISORY, MANDATORY, DISABLED, REMEDIATE)
"""By their number in Pulumi's `EnforcementLevel` (pulumi/analyzer.proto)."""
EVERY = "all"
FOLDER = "policies"
PROJECT_FILE = "PulumiPolicy.yaml"
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


class PackError(Exception):
    """A policy pack that cannot be used; it was found before anything was touched. The message says what to do."""


@dataclass(frozen=True)
class PolicyPack:
    """A pack in `folder` and the file that configures it; `env` is added to the environment of its process."""

    folder: Path
    config: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """A policy's level ("" where none is said) and its configuration."""

    level: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """A policy as its pack describes it; `schema` is that of its configuration (`properties`, `required`)."""

    name: str
    level: str
    schema: Mapping[str, Any] = field(default_factory=dict)


def found_in(root: Path) -> PolicyPack | None:
    """The project's own pack: its folder `policies`, configured by `policies/config.json` where that exists."""
    folder = root / FOLDER
    config = folder / "config.json"
    return PolicyPack(folder, config if config.exists() else None) if (folder / PROJECT_FILE).is_file() else None


def version(folder: Path) -> str:
    """What PulumiPolicy.yaml gives as the pack's version, or "".

    Raises `PackError` for a folder that holds no pack, or one in another language than Python."""
    if not folder.is_dir():
        raise PackError(f"there is no policy pack in {folder}: the folder does not exist")
    file = folder / PROJECT_FILE
    if not file.is_file():
        raise PackError(f"there is no policy pack in {folder}: it has no {PROJECT_FILE}")
    try:
        found = YAML(typ="safe", pure=True).load(file)
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        raise PackError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    said = found.get("runtime") if isinstance(found, dict) else None
    runtime = said.get("name") if isinstance(said, dict) else said
    if runtime != "python":
        raise PackError(f"{file}: runtime is {runtime!r}: the local engine (not Pulumi) runs policy packs in python only")
    if not (folder / "__main__.py").is_file():
        raise PackError(f"there is no policy pack in {folder}: it has no __main__.py")
    return str(found.get("version") or "")


def read_config(file: Path | None) -> dict[str, Setting]:
    """Settings by policy, as a file of `--policy-pack-config` gives them; an empty file is none.

    Raises `PackError` that names what is wrong in it."""
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text) if text.strip() else {}
    except OSError as error:
        raise PackError(f"the policy pack's configuration {file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise PackError(f"the policy pack's configuration {file} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise PackError(f"the policy pack's configuration {file} must be an object of policies")
    try:
        return {name: _setting(name, value) for name, value in found.items()}
    except ValueError as error:
        raise PackError(f"{file}: {error}") from None


def configured(
    policies: Sequence[Policy], own: Mapping[str, Setting], given: Mapping[str, Setting], pack: str
) -> dict[str, Setting]:
    """Every policy's setting: its own, under what the pack says (`own`), under what the file says (`given`).

    Raises `PackError` for an unknown policy, what does not fit a schema, and the level `remediate`."""
    found = {policy.name: Setting(policy.level, _defaults(policy)) for policy in policies}
    for layer in (own, given):
        found = _applied(found, layer, pack)
    faults = [fault for policy in policies for fault in _faults(policy, found[policy.name])]
    if faults:
        raise PackError("\n".join([f"the configuration of policy pack {pack} does not fit:", *faults]))
    return found


def _applied(found: Mapping[str, Setting], layer: Mapping[str, Setting], pack: str) -> dict[str, Setting]:
    everywhere = layer.get(EVERY, Setting()).level
    result = {name: replace(setting, level=everywhere or setting.level) for name, setting in found.items()}
    for name, setting in layer.items():
        if name == EVERY:
            continue
        if name not in result:
            raise PackError(f"policy pack {pack} has no policy {name!r}, which is configured; it has {', '.join(result)}")
        old = result[name]
        result[name] = Setting(setting.level or old.level, {**old.properties, **setting.properties})
    return result


def _setting(name: str, value: Any) -> Setting:
    if isinstance(value, str):
        return Setting(_level(name, value))
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a level ({', '.join(LEVELS)}) or an object, not {value!r}")
    properties = {key: item for key, item in value.items() if key != "enforcementLevel"}
    if name == EVERY and properties:
        raise ValueError(f"{EVERY} takes a level only, not {', '.join(properties)}")
    return Setting(_level(name, value["enforcementLevel"]) if "enforcementLevel" in value else "", properties)


def _level(name: str, value: Any) -> str:
    if value not in LEVELS:
        raise ValueError(f"{name}: the enforcement level {value!r} is none of {', '.join(LEVELS)}")
    return str(value)


def _defaults(policy: Policy) -> dict[str, Any]:
    return {name: each["default"] for name, each in policy.schema.get("properties", {}).items() if "default" in each}


def _faults(policy: Policy, setting: Setting) -> Iterator[str]:
    if setting.level == REMEDIATE:
        yield (
            f"{policy.name}: the level remediate is not run by the local engine (not Pulumi): "
            "make it mandatory, advisory or disabled"
        )
    for name in policy.schema.get("required", ()):
        if name not in setting.properties:
            yield f"{policy.name}: {name} is required"
    for name, value in setting.properties.items():
        if fault := _misfit(value, policy.schema.get("properties", {}).get(name, {})):
            yield f"{policy.name}: {name} is {json.dumps(value)}: {fault}"


def _misfit(value: Any, schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    wanted = _TYPES.get(kind) if isinstance(kind, str) else None
    whole = value.is_integer() if kind == "integer" and isinstance(value, float) else False
    if wanted and not whole and (not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean")):
        return f"it must be of type {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"it must be one of {', '.join(map(str, schema['enum']))}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"it must be at least {schema['minimum']:g}"
    if "maximum" in schema and value > schema["maximum"]:
        return f"it must be at most {schema['maximum']:g}"
    return ""
