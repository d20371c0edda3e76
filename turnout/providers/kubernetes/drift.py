"""What a live object says about the fields that a program declares: as the program would have to write them.

Only declared fields count (`pruneLiveState`, provider.go of pulumi-kubernetes): what defaulting, admission and controllers
fill in is no drift. How the items of a list are told apart is read from the managed fields ("Server-Side Apply", Kubernetes:
Merge strategy): a list of maps by its keys, a set by its values, any other list as a whole.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from turnout.providers.kubernetes.fields import Tree, everything

_VERBATIM = frozenset({"annotations", "args", "command", "data", "env", "labels", "matchLabels", "nodeSelector", "stringData"})
"""Below these a text is itself; elsewhere `1000m` may be a quantity and mean `1`."""
_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10) ** 3, "M": Decimal(10) ** 6, "G": Decimal(10) ** 9, "T": Decimal(10) ** 12, "P": Decimal(10) ** 15,
    "Ki": Decimal(2) ** 10, "Mi": Decimal(2) ** 20, "Gi": Decimal(2) ** 30, "Ti": Decimal(2) ** 40, "Pi": Decimal(2) ** 50,
}  # fmt: skip
_GONE = object()


def reflected(declared: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """The declared inputs as the live object has them: verbatim where it means the same, changed where it differs, without what
    is gone."""
    seen = {**live, "stringData": _decoded(live.get("data") or {})} if "stringData" in declared else live
    return _map(declared, seen, everything(live), verbatim=False)


def _map(declared: Mapping[str, Any], live: Mapping[str, Any], tree: Tree, verbatim: bool) -> dict[str, Any]:
    found = {}
    for name, value in declared.items():
        below = tree.get(f"f:{name}") or {}
        seen = _value(value, live.get(name, _GONE), below, verbatim or name in _VERBATIM)
        if seen is not _GONE:
            found[name] = seen
    return found


def _value(declared: Any, live: Any, tree: Tree, verbatim: bool) -> Any:
    if live is _GONE or live is None:
        return _GONE if declared else declared  # what is empty, zero or false is not stored
    if isinstance(declared, Mapping) and isinstance(live, Mapping):
        return _map(declared, live, tree, verbatim)
    if isinstance(declared, list) and isinstance(live, list):
        return _list(declared, live, tree, verbatim)
    return declared if _means_the_same(declared, live, verbatim) else live


def _list(declared: list[Any], live: list[Any], tree: Tree, verbatim: bool) -> list[Any]:
    keyed = {step: json.loads(step[2:]) for step in tree if step.startswith("k:")}
    if keyed:
        return _keyed(declared, live, tree, keyed, verbatim)
    if any(step.startswith("v:") for step in tree):
        return [item for item in declared if item in live]
    if len(declared) == len(live):
        return [_item(item, seen, verbatim) for item, seen in zip(declared, live, strict=True)]
    return list(live)


def _item(declared: Any, live: Any, verbatim: bool) -> Any:
    found = _value(declared, live, {}, verbatim)
    return live if found is _GONE else found


def _keyed(
    declared: list[Any], live: list[Any], tree: Tree, keyed: Mapping[str, Mapping[str, Any]], verbatim: bool
) -> list[Any]:
    """Items by their keys, in the program's order. What others added (a sidecar) is theirs."""
    names = set().union(*keyed.values())
    found = []
    for item in declared:
        wanted = {name: item[name] for name in names if isinstance(item, Mapping) and name in item}
        match = next((seen for seen in live if _has(seen, wanted)), None)
        if match is not None:
            step = next((step for step, keys in keyed.items() if _has(match, keys)), "")
            found.append(_map(item, match, tree.get(step) or {}, verbatim))
    return found


def _has(item: Any, keys: Mapping[str, Any]) -> bool:
    return isinstance(item, Mapping) and all(item.get(name) == value for name, value in keys.items())


def _means_the_same(declared: Any, live: Any, verbatim: bool) -> bool:
    if isinstance(declared, bool) or isinstance(live, bool):
        return declared is live
    if declared == live:
        return True
    if verbatim:
        return False
    one, other = _quantity(declared), _quantity(live)
    return one is not None and one == other


def _quantity(value: Any) -> Decimal | None:
    """A number with one of Kubernetes' suffixes ("Quantity", Kubernetes API)."""
    text = str(value)
    digits = text.rstrip("KMGTPiknum")
    factor = _SUFFIXES.get(text[len(digits) :])
    try:
        return Decimal(digits) * factor if factor is not None and isinstance(value, str | int | float) else None
    except InvalidOperation:
        return None


def _decoded(data: Mapping[str, Any]) -> dict[str, Any]:
    """A Secret's `data` as its `stringData` would say it; what is no text is left as it is stored."""
    return {name: _text(value) for name, value in data.items()}


def _text(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, TypeError, ValueError):
        return value
