"""An HTTPRoute's rules as the switch reads and writes them: weights, copies, an experiment's variants past the weights. Pure.

Sources: "HTTPRoute" and "HTTP traffic splitting" (Gateway API); "HTTPRouteRule" and "HTTPHeaderMatch" (Gateway API reference).
"""

from collections.abc import Collection, Mapping
from typing import Any

from turnout_components.kubernetes_names import ObjectId
from turnout_components.mirror import MIRROR_HEADER
from turnout_components.variants import VARIANT_HEADER

Rule = dict[str, Any]
WEIGHT_AT_MOST = 1_000_000
"""Of a backendRef ("BackendRef", Gateway API reference: 0 to 1,000,000, 1 by default)."""
MATCHES_AT_MOST = 64
"""Of one rule ("HTTPRouteRule", Gateway API reference)."""
RULES_AT_MOST = 16
"""Of one HTTPRoute ("HTTPRouteSpec", Gateway API reference)."""
_MODIFIER = "RequestHeaderModifier"
TAKEN = ("Accepted", "ResolvedRefs")
"""Conditions that say that a route stands in the data plane, and that all its references do ("RouteConditionType")."""


def service_id(backend: Mapping[str, Any], namespace: str) -> str:
    """The Service of a backendRef in a route of this namespace, as the record names it."""
    return str(ObjectId(backend.get("kind", "Service"), backend.get("namespace", namespace), backend["name"]))


def backends(rule: Rule, namespace: str) -> dict[str, int]:
    """Weight by Service of one rule; a backendRef without a weight has 1."""
    return {service_id(ref, namespace): int(ref.get("weight", 1)) for ref in rule.get("backendRefs") or ()}


def variant_values(rule: Rule) -> list[str]:
    """Variants that the rule matches; none for a rule that is not an experiment's."""
    found = []
    for match in rule.get("matches") or ():
        for header in match.get("headers") or ():
            if header.get("name", "").lower() == VARIANT_HEADER and header.get("type", "Exact") == "Exact":
                found.append(str(header["value"]))
    return found


def weighted(rules: list[Rule]) -> int | None:
    """Which rule carries the weights: the first that is no experiment's and has backends."""
    return next((n for n, rule in enumerate(rules) if rule.get("backendRefs") and not variant_values(rule)), None)


def with_weights(rules: list[Rule], weights: Mapping[str, int], namespace: str) -> list[Rule]:
    """The rules with these weights (by Service) in the weighted one; all else stays.

    Raises `ValueError` for a weight that Gateway API does not know, `LookupError` without a weighted rule."""
    wrong = {name: weight for name, weight in weights.items() if not 0 <= weight <= WEIGHT_AT_MOST}
    if wrong:
        raise ValueError(f"weights {wrong}: Gateway API takes 0 to {WEIGHT_AT_MOST}")
    place = weighted(rules)
    if place is None:
        raise LookupError("no rule of the route has backends")
    known = {service_id(ref, namespace): ref for ref in rules[place]["backendRefs"]}
    refs = [{**known.get(name, _reference(name, namespace, known)), "weight": weight} for name, weight in weights.items()]
    return [{**rule, "backendRefs": refs} if n == place else rule for n, rule in enumerate(rules)]


def _reference(name: str, namespace: str, like: Mapping[str, Rule]) -> Rule:
    """A backendRef of a Service that the rule did not have, on the port of those that it has."""
    service = ObjectId.parse(name)
    elsewhere = {} if service.namespace == namespace else {"namespace": service.namespace}
    port = next((ref["port"] for ref in like.values() if "port" in ref), 80)
    return {"kind": service.kind, "name": service.name, "port": port, **elsewhere}


def variants(rules: list[Rule], namespace: str) -> dict[str, str]:
    """Service by variant, where rules send them past the weights."""
    found: dict[str, str] = {}
    for rule in rules:
        to = next(iter(backends(rule, namespace)), "")
        found |= dict.fromkeys(variant_values(rule), to)
    return found


def with_variants(rules: list[Rule], targets: Mapping[str, str], namespace: str) -> list[Rule]:
    """The rules with one for each Service of `targets` (Service by variant), which matches its variants by header, and no other
    experiment's rule. A rule that matches a header as well goes before one that matches the same path alone ("HTTPRouteRule":
    precedence), wherever it stands.

    Raises `LookupError` where the route has no room for them."""
    others = [rule for rule in rules if not variant_values(rule)]
    place = weighted(others)
    if place is None:
        raise LookupError("no rule of the route has backends")
    main = others[place]
    known = {service_id(ref, namespace): ref for ref in main["backendRefs"]}
    by_target: dict[str, list[str]] = {}
    for variant, target in targets.items():
        by_target.setdefault(target, []).append(variant)
    ours = []
    for target, held in by_target.items():
        ref = {**known.get(target, _reference(target, namespace, known)), "weight": 1}
        ours.append({**_inherited(main), "matches": _matches(main, held), "backendRefs": [ref]})
    too_many = max((len(rule["matches"]) for rule in ours), default=0) > MATCHES_AT_MOST
    if too_many or len(ours) + len(others) > RULES_AT_MOST:
        raise LookupError(
            f"the route has {len(others)} rules beside the experiment's: {RULES_AT_MOST} rules with {MATCHES_AT_MOST} matches "
            "each are the most that it takes; take some out, then go on"
        )
    return [*ours, *others]


def without(rules: list[Rule], gone: Collection[str]) -> list[Rule]:
    """The rules without those that send a variant of `gone` past the weights."""
    return [rule for rule in rules if not set(variant_values(rule)) & set(gone)]


def mirrored(rules: list[Rule], namespace: str) -> dict[str, float]:
    """Percent of the requests by the environment's Service that gets copies of them. A mirror to any other Service is somebody
    else's."""
    place = weighted(rules)
    if place is None:
        return {}
    known = backends(rules[place], namespace)
    found = [each["requestMirror"] for each in rules[place].get("filters") or () if each["type"] == "RequestMirror"]
    shares = {service_id(each["backendRef"], namespace): _percent(each) for each in found}
    return {service: share for service, share in shares.items() if service in known}


def _percent(mirror: Rule) -> float:
    """All where no part is named ("HTTPRequestMirrorFilter", Gateway API reference)."""
    fraction = mirror.get("fraction")
    if fraction:
        return 100 * float(fraction["numerator"]) / float(fraction.get("denominator", 100))
    return float(mirror.get("percent", 100))


def with_mirror(rules: list[Rule], service: str | None, percent: int, namespace: str) -> list[Rule]:
    """The rules with copies of so many percent of the weighted rule's requests to this Service, and to no other environment's;
    None: to none. Requests of the rule carry `MIRROR_HEADER` meanwhile, so that both servers log them.

    Raises `LookupError` without a weighted rule."""
    place = weighted(rules)
    if place is None:
        raise LookupError("no rule of the route has backends")
    known = {service_id(ref, namespace): ref for ref in rules[place]["backendRefs"]}
    filters = [each for each in rules[place].get("filters") or () if not _is_ours(each, known, namespace)]
    filters = _unmarked(filters)
    if service is not None:
        ref = known.get(service, _reference(service, namespace, known))
        to = {key: value for key, value in ref.items() if key in ("group", "kind", "name", "namespace", "port")}
        filters = [*_marked(filters), {"type": "RequestMirror", "requestMirror": {"backendRef": to, "percent": percent}}]
    rule = {key: value for key, value in rules[place].items() if key != "filters"}
    changed = {**rule, "filters": filters} if filters else rule
    return [changed if n == place else each for n, each in enumerate(rules)]


def _is_ours(found: Rule, known: Collection[str], namespace: str) -> bool:
    return found["type"] == "RequestMirror" and service_id(found["requestMirror"]["backendRef"], namespace) in known


def _marked(filters: list[Rule]) -> list[Rule]:
    """With the header set: a rule has one filter that modifies request headers at most ("HTTPRouteRule", filters)."""
    mark = {"name": MIRROR_HEADER, "value": "1"}
    if not any(each["type"] == _MODIFIER for each in filters):
        return [{"type": _MODIFIER, "requestHeaderModifier": {"set": [mark]}}, *filters]
    return [
        {**each, "requestHeaderModifier": {**each["requestHeaderModifier"], "set": [*_set(each), mark]}}
        if each["type"] == _MODIFIER
        else each
        for each in filters
    ]


def _unmarked(filters: list[Rule]) -> list[Rule]:
    found = []
    for each in filters:
        if each["type"] != _MODIFIER or all(one["name"].lower() != MIRROR_HEADER for one in _set(each)):
            found.append(each)
            continue
        kept = [one for one in _set(each) if one["name"].lower() != MIRROR_HEADER]
        others = {key: value for key, value in each["requestHeaderModifier"].items() if key != "set"}
        left = {**others, "set": kept} if kept else others
        found += [{**each, "requestHeaderModifier": left}] if left else []
    return found


def _set(modifier: Rule) -> list[Rule]:
    return list(modifier["requestHeaderModifier"].get("set") or ())


def _matches(main: Rule, held: list[str]) -> list[Rule]:
    """Each match of the weighted rule with each variant's header as well."""
    base = main.get("matches") or [{"path": {"type": "PathPrefix", "value": "/"}}]
    header = [{"type": "Exact", "name": VARIANT_HEADER, "value": variant} for variant in held]
    return [{**match, "headers": [*(match.get("headers") or ()), one]} for match in base for one in header]


def _inherited(main: Rule) -> Rule:
    """What an experiment's rule takes over: timeouts, filters, session persistence are the weighted rule's."""
    return {key: value for key, value in main.items() if key not in ("name", "matches", "backendRefs", "sessionPersistence")}


def refusal(route: Mapping[str, Any]) -> str | None:
    """Why a route is not in force as it is written; None where every Gateway that it names has taken this generation."""
    generation = route["metadata"].get("generation", 0)
    parents = (route.get("status") or {}).get("parents") or []
    wanted = route["spec"].get("parentRefs") or []
    if len(parents) < len(wanted) or not parents:
        return f"{len(parents)} of its {len(wanted)} Gateways have said anything of it"
    for parent in parents:
        name = parent.get("parentRef", {}).get("name", "?")
        conditions = {each["type"]: each for each in parent.get("conditions") or ()}
        for kind in TAKEN:
            found = conditions.get(kind)
            if found is None or found.get("observedGeneration", 0) < generation:
                return f"Gateway {name} ({parent.get('controllerName', '?')}) has not looked at generation {generation} yet"
            if found["status"] != "True":
                why = f"{found.get('reason', '')} {found.get('message', '')}"
                return f"Gateway {name} says {kind} is {found['status']}: {why}".strip()
    return None
