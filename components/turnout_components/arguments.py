"""What a component was given beside what it takes: an argument that it does not know would do nothing, and tell nobody."""

import difflib
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import pulumi

Args = TypeVar("Args", bound=Mapping[str, Any])


def taken(name: str, args: Args, form: type[Args]) -> Args:
    """The arguments of the component `name` as it may use them: with whole numbers as such.

    Raises `ValueError` as `refuse` does."""
    refuse(name, args, form)
    return typing.cast(Args, {key: whole(value) for key, value in args.items()})


def whole(value: Any) -> Any:
    """`value` with an int for each float that is one, at whatever depth and in outputs too. Pulumi's wire knows floats only: a
    number of another stack's output, or of a program in another language, would else stand as `80.0` in texts."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, pulumi.Output):
        return value.apply(whole)
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, (list, tuple)) else value


def refuse(name: str, args: Mapping[str, Any], form: type) -> None:
    """Raises `ValueError` with a line for each argument of the component `name` that its TypedDict `form` has not, for each
    that it requires and is missing, and for each output where the value decides which resources there are."""
    if faults := list(_faults(args, form)):
        raise ValueError("\n".join(f"{name}: {fault}" for fault in faults))


def holds_output(value: Any) -> bool:
    """Whether a value is an output, or has one in it."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return isinstance(value, pulumi.Output) or any(holds_output(item) for item in inner)


def _faults(args: Mapping[str, Any], form: type) -> Iterator[str]:
    hints = form.__annotations__
    for key in sorted(args.keys() - hints.keys()):
        near = difflib.get_close_matches(key, hints, 1)
        yield f"{key} is no argument of it; " + (f"write {near[0]}" if near else f"there are {', '.join(sorted(hints))}")
    for key in sorted(vars(form)["__required_keys__"] - args.keys()):
        yield f"{key} is missing; give it"
    for key, value in args.items():
        if key in hints and holds_output(value) and not _admits_outputs(hints[key]):
            yield f"{key} holds an output, but decides which resources there are; give a value that is known beforehand"


def _admits_outputs(hint: Any) -> bool:
    """Whether a type has an output in it, at whatever depth. Pulumi's `Input` names it by a text."""
    if typing.is_typeddict(hint):
        return any(map(_admits_outputs, hint.__annotations__.values()))
    return "Output" in str(hint) or any(map(_admits_outputs, typing.get_args(hint)))
