"""What happens to one resource: a pure decision from its old state and what the program wants."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from turnout.engine.provider import AutoName, Fault, ResourceType
from turnout.engine.redact import Redactor
from turnout.engine.state import ResourceState
from turnout.engine.values import UNKNOWN, Secret
from turnout.engine.wire import has_secret, has_unknown, plain

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"


class Kind(StrEnum):
    """Pulumi's names of the steps."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"
    REFRESH = "refresh"


@dataclass(frozen=True)
class Goal:
    """What the program registered. `inputs` may hold `Secret` and `UNKNOWN`."""

    urn: str
    type: str
    name: str
    custom: bool
    inputs: dict[str, Any]
    parent: str = ""
    provider: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool | None = None
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    hooks: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """The decision. `changed` are the inputs that differ, `replacing` those that force a replacement."""

    kind: Kind
    changed: tuple[str, ...] = ()
    replacing: tuple[str, ...] = ()
    delete_first: bool = False


def decide(old: ResourceState | None, goal: Goal, rtype: ResourceType | None) -> Step:
    """Create, update, replace or leave alone. `rtype` is None for components and providers, which are never replaced."""
    if old is None:
        return Step(Kind.CREATE)
    before, after = plain(old.inputs), plain(goal.inputs)
    changed = tuple(sorted(key for key in before.keys() | after.keys() if _differs(before.get(key), after.get(key))))
    if rtype is None:
        return Step(Kind.UPDATE if changed and goal.custom else Kind.SAME, changed)
    replacing = tuple(key for key in changed if key in rtype.replace_on or _named(key, goal.replace_on_changes))
    if old.provider != goal.provider and not has_unknown(goal.provider) and _provider_moved(old.provider, goal.provider):
        replacing = (*replacing, "provider")
    if replacing:
        first = goal.delete_before_replace if goal.delete_before_replace is not None else rtype.delete_before_replace
        return Step(Kind.REPLACE, changed, replacing, first)
    return Step(Kind.UPDATE if changed else Kind.SAME, changed)


def withheld(goal: Goal, rtype: ResourceType | None) -> tuple[Goal, dict[str, Any]]:
    """The goal without the inputs that may be written and never kept, and these, each a `Secret`."""
    names = rtype.write_only if rtype is not None else frozenset()
    kept = {name: value for name, value in goal.inputs.items() if name not in names}
    written = {name: value for name, value in goal.inputs.items() if name in names}
    return replace(goal, inputs=kept), {n: v if isinstance(v, Secret) else Secret(v) for n, v in written.items()}


def with_ignored(inputs: Mapping[str, Any], old: ResourceState | None, ignore: list[str]) -> dict[str, Any]:
    """The inputs with every ignored property as the old state has it; only top-level names (`tags`) are known here."""
    result = dict(inputs)
    for name in ignore if old is not None else ():
        if name in old.inputs:  # type: ignore[union-attr]
            result[name] = old.inputs[name]  # type: ignore[union-attr]
        else:
            result.pop(name, None)
    return result


def auto_named(goal: Goal, auto: AutoName | None, old_inputs: Mapping[str, Any] | None, random_hex: str) -> dict[str, Any]:
    """The inputs with a physical name: the program's, else the old one, else `<logical name>-<random_hex>`.

    Raises `ValueError` when the logical name leaves no room (pulumi-terraform-bridge refuses this too)."""
    inputs = dict(goal.inputs)
    if auto is None or inputs.get(auto.property) is not None or inputs.get(f"{auto.property}Prefix") is not None:
        return inputs
    if old_inputs and old_inputs.get(auto.property) is not None:
        inputs[auto.property] = old_inputs[auto.property]
        return inputs
    name = f"{goal.name}-{random_hex[: auto.random_length]}"
    if len(name) > auto.max_length:
        room = auto.max_length - auto.random_length - 1
        raise ValueError(
            f"name {goal.name!r} is too long: its physical name has {auto.max_length} characters, of which {room} are yours"
        )
    inputs[auto.property] = name
    return inputs


def faults(inputs: Mapping[str, Any], rtype: ResourceType) -> list[Fault]:
    """Inputs that the provider does not know, and those that AWS would refuse."""
    unknown = sorted(name for name, value in inputs.items() if value is not None and name not in rtype.inputs)
    refused = [Fault(name, f"is not supported by the local engine for {rtype.token}") for name in unknown]
    return refused or rtype.check(plain({k: v for k, v in inputs.items() if v is not None}))


def with_secrets(outputs: Mapping[str, Any], goal_inputs: Mapping[str, Any], additional: list[str]) -> dict[str, Any]:
    """Outputs with `Secret` around those named in `additional`, those whose input is, or holds, a secret, and those in which a
    secret of the inputs stands under another name (`tagsAll` holds the tags)."""
    hidden = {name for name, value in goal_inputs.items() if has_secret(value)} | set(additional)
    secrets = Redactor()
    secrets.learn_marked(goal_inputs)
    hidden |= {name for name, value in outputs.items() if secrets.clean(bare := plain(value)) != bare}
    return {
        name: Secret(value) if name in hidden and value is not None and not isinstance(value, Secret) else value
        for name, value in outputs.items()
    }


def predicted(step: Step, goal: Goal, old: ResourceState | None, rtype: ResourceType | None) -> dict[str, Any]:
    """Outputs as far as a preview knows them: missing ones are unknown to the SDK by themselves."""
    inputs = {k: v for k, v in goal.inputs.items() if v is not None}
    if step.kind is Kind.SAME and old is not None:
        return dict(old.outputs)
    if step.kind is Kind.UPDATE and old is not None:
        volatile = dict.fromkeys(rtype.volatile if rtype else (), UNKNOWN)
        return {**old.outputs, **inputs, **volatile}
    return inputs


def _differs(before: Any, after: Any) -> bool:
    return has_unknown(after) or before != after


def _named(key: str, paths: list[str]) -> bool:
    return any(path == "*" or path.split(".")[0].split("[")[0] == key for path in paths)


def _provider_moved(old: str, new: str) -> bool:
    return old.rsplit("::", 1)[0] != new.rsplit("::", 1)[0]
