"""What happens to one resource: a pure decision from its old state and what the program wants."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
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


def decide(old: ResourceState | None, goal: Goal, rtype: ResourceType | None, name_stays: bool = False) -> Step:
    """Create, update, replace or leave alone. `rtype` is None for components and providers, which are never replaced. Where the
    `name_stays` (below) the old one goes first."""
    if old is None:
        return Step(Kind.CREATE)
    before, after = plain(old.inputs), plain(goal.inputs)
    changed = tuple(sorted(key for key in before.keys() | after.keys() if _differs(before.get(key), after.get(key))))
    if rtype is None:
        return Step(Kind.UPDATE if changed and goal.custom else Kind.SAME, changed)
    asked = [path.split("[")[0] for path in goal.replace_on_changes]  # of a list's items: the whole list
    forcing = {path.split(".")[0] for path in (*rtype.replace_on, *asked) if _differs(_at(before, path), _at(after, path))}
    replacing = tuple(key for key in changed if "*" in asked or key in forcing)
    if old.provider != goal.provider and not has_unknown(goal.provider) and _provider_moved(old.provider, goal.provider):
        replacing = (*replacing, "provider")
    if replacing:
        said = goal.delete_before_replace
        first = said if said is not None else rtype.delete_before_replace or name_stays
        return Step(Kind.REPLACE, changed, replacing, first)
    return Step(Kind.UPDATE if changed or old.init_errors else Kind.SAME, changed)


def name_stays(wanted: Goal, old: ResourceState | None, rtype: ResourceType | None) -> bool:
    """Whether the program itself gives the physical name, and the one that is taken already (`nameRequiresDeleteBeforeReplace`,
    pulumi-terraform-bridge)."""
    if old is None or rtype is None or rtype.auto_name is None:
        return False
    name = rtype.auto_name.identity(plain(wanted.inputs))
    return name is not None and name == rtype.auto_name.identity(plain(old.inputs))


def withheld(goal: Goal, rtype: ResourceType | None) -> tuple[Goal, dict[str, Any]]:
    """The goal without the inputs that may be written and never kept, and these, each a `Secret`."""
    names = rtype.write_only if rtype is not None else frozenset()
    kept = {name: value for name, value in goal.inputs.items() if name not in names}
    written = {name: value for name, value in goal.inputs.items() if name in names}
    return replace(goal, inputs=kept), {n: v if isinstance(v, Secret) else Secret(v) for n, v in written.items()}


def with_ignored(inputs: Mapping[str, Any], old: ResourceState | None, ignore: list[str]) -> dict[str, Any]:
    """The inputs with every ignored property as the old state has it: top-level names (`tags`), and paths of names into blocks
    (`scalingConfig.desiredSize`; "ignoreChanges", Pulumi's resource options)."""
    result = dict(inputs)
    for path in ignore if old is not None else ():
        _keep(result, old.inputs, path.split("."))  # type: ignore[union-attr]
    return result


def _keep(wanted: dict[str, Any], held: Mapping[str, Any], path: list[str]) -> None:
    name, *rest = path
    inner, before = wanted.get(name), held.get(name)
    if rest:
        if isinstance(inner, Mapping) and isinstance(before, Mapping):
            wanted[name] = dict(inner)
            _keep(wanted[name], before, rest)
    elif name in held:
        wanted[name] = before
    else:
        wanted.pop(name, None)


def auto_named(goal: Goal, auto: AutoName | None, old_inputs: Mapping[str, Any] | None, random_hex: str) -> dict[str, Any]:
    """The inputs with a physical name: the program's, else the old one, else `<logical name>-<random_hex>`.

    Raises `ValueError` when the logical name leaves no room (pulumi-terraform-bridge refuses this too)."""
    inputs = dict(goal.inputs)
    if auto is None or auto.given(inputs) is not None or auto.is_left_to_others(inputs):
        return inputs
    if old_inputs and (name := auto.adopted(old_inputs)) is not None:
        return auto.named(inputs, name)
    name = f"{goal.name}-{random_hex[: auto.random_length]}"
    if len(name) > auto.max_length:
        room = auto.max_length - auto.random_length - 1
        raise ValueError(
            f"name {goal.name!r} is too long: its physical name has {auto.max_length} characters, of which {room} are yours"
        )
    return auto.named(inputs, name)


def faults(inputs: Mapping[str, Any], rtype: ResourceType) -> list[Fault]:
    """Inputs that the provider does not know, and those that AWS would refuse."""
    unknown = sorted(name for name, value in inputs.items() if value is not None and name not in rtype.inputs)
    refused = [Fault(name, f"is not supported by the local engine for {rtype.token}{_meant(name, rtype)}") for name in unknown]
    return refused or rtype.check(plain({k: v for k, v in inputs.items() if v is not None}))


def _meant(name: str, rtype: ResourceType) -> str:
    near = get_close_matches(name, rtype.inputs, 1)
    return f"; did you mean {near[0]}?" if near else ""


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
    """Outputs as far as a preview knows them: missing ones are unknown to the SDK by themselves. What an input said that is
    left out now is not known either."""
    inputs = {k: v for k, v in goal.inputs.items() if v is not None}
    if step.kind is Kind.SAME and old is not None:
        return dict(old.outputs)
    if step.kind is Kind.UPDATE and old is not None:
        volatile = dict.fromkeys(rtype.volatile if rtype else (), UNKNOWN)
        kept = {name: value for name, value in old.outputs.items() if name in inputs or name not in old.inputs}
        return {**kept, **inputs, **volatile}
    return inputs


def _differs(before: Any, after: Any) -> bool:
    return has_unknown(after) or before != after


def _at(values: Mapping[str, Any], path: str) -> Any:
    """What stands at a dotted path; all of it that is not known yet where it ends in something unknown."""
    found: Any = values
    for name in path.split("."):
        if has_unknown(found) and not isinstance(found, Mapping):
            return found
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _provider_moved(old: str, new: str) -> bool:
    return old.rsplit("::", 1)[0] != new.rsplit("::", 1)[0]
