"""What packages hold, told on stdout as JSON by a process of its own: `package_names.py lazy|plain WHAT package …`.

KNOWN: every name. NAMES: what each stands for, and which of them needed the package's whole `__init__`. HINTS: how Pulumi
reads each class.
"""

import inspect
import json
import random
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, cast
from unittest.mock import patch

from pulumi import _types

Told = dict[str, Any]


def described(value: object) -> list[str]:
    """The kind of a thing, where it was defined, and under which name."""
    if isinstance(value, ModuleType):
        return ["module", "", value.__name__]
    kind, module = type(value).__name__, getattr(value, "__module__", "")
    return [kind, str(module), str(getattr(value, "__qualname__", getattr(value, "__name__", "")))]


def names_of(package: ModuleType, asked: list[str]) -> Told:
    """Each name's description; a lazy package must find it before it runs its `__init__`, or it counts as missed."""
    from turnout.engine import lazy_packages

    missed: list[str] = []
    found, late = {}, []
    with patch.object(lazy_packages, "_fill", lambda of: missed.append(of.__name__)):
        for name in asked:
            known = getattr(package, name, None)
            if missed:
                late.append(name)
                missed.clear()
            found[name] = described(known)
    found |= {name: described(getattr(package, name)) for name in late}
    return {"found": found, "late": sorted(late)}


def hints_of(package: ModuleType, asked: list[str]) -> Told:
    """Pulumi's view of each class: types by Pulumi's name, Pulumi's names by Python's, and its own words."""
    return {name: repr(view) for name in asked for view in _views(getattr(package, name, None))}


def _views(value: Any) -> Iterator[Any]:
    if not inspect.isclass(value):
        return
    about = (value.__mro__, value.__doc__, sorted(vars(value)))
    if _types.is_input_type(value):
        yield _types.input_type_types(value), _types.input_type_py_to_pulumi_names(value), about
    elif _types.is_output_type(value):
        yield _types.output_type_types(value), about
    elif hasattr(value, "get_provider"):
        yield _types.resource_types(value), _types.resource_py_to_pulumi_names(value), about
    elif hasattr(value, "__total__"):
        yield value.__annotations__, sorted(vars(value)["__required_keys__"]), vars(value)["__total__"]
    elif hasattr(value, "__members__"):
        yield {name: (member.value, repr(member)) for name, member in value.__members__.items()}, about


def asked_of(package: ModuleType) -> list[str]:
    """Every name of a package that is loaded whole."""
    getattr(package, "_utilities", None)  # Pulumi loads some at the first look
    return [name for name in vars(package) if not name.startswith("__")]


def told(how: str, what: str, names: list[str], asked: dict[str, list[str]] | None) -> Iterator[tuple[str, Any]]:
    """`asked`: the names to ask for, in an order that nobody has chosen; None: all that there are."""
    for name in names:
        package = import_module(name)
        known = asked[name] if asked else asked_of(package)
        random.Random(name + how).shuffle(known)
        yield name, known if what == "KNOWN" else (names_of if what == "NAMES" else hints_of)(package, known)


def main() -> None:
    how, what, *names = sys.argv[1:]
    if how == "lazy":
        from turnout.engine import lazy_packages

        lazy_packages.install()
    asked = cast("dict[str, list[str]] | None", json.loads(sys.stdin.read() or "null"))
    json.dump(dict(told(how, what, names, asked)), sys.stdout)


if __name__ == "__main__":
    main()
