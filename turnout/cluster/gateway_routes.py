"""An HTTPRoute's rules as Envoy routes. Pure.

Source: "API specification" (HTTPRouteRule, HTTPRouteMatch, HTTPRouteFilter, HTTPBackendRef), Gateway API.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnout.cluster.gateway_model import Problem, Service
from turnout.cluster.watching import Object

MISSING = "missing"
"""A cluster that never exists: requests for it are answered by 500."""
_SET, _ADD = "OVERWRITE_IF_EXISTS_OR_ADD", "APPEND_IF_EXISTS_OR_ADD"
_FILTERS = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "RequestRedirect", "URLRewrite")
_BACKEND_FILTERS = _FILTERS[:2]
_REDIRECTS = {301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}
_DURATION = re.compile(r"(\d+)(h|ms|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

Resolve = Callable[[Mapping[str, Any]], Service | Problem]
"""The Service of a backend reference."""


@dataclass(frozen=True)
class Ranked:
    """An Envoy route. The larger `rank`, the sooner it is asked ("HTTPRouteRule": matches)."""

    rank: tuple[int, ...]
    route: dict[str, Any]


def unsupported(route: Object) -> Problem | None:
    """What of the route is not carried out here, and what is: nothing of such a route is in force."""
    for rule in route["spec"].get("rules") or ():
        named = [name for name in ("retry", "sessionPersistence") if rule.get(name)]
        named += [one["type"] for one in rule.get("filters") or () if one["type"] not in _FILTERS]
        for reference in rule.get("backendRefs") or ():
            named += [
                f"{one['type']} of a backend" for one in reference.get("filters") or () if one["type"] not in _BACKEND_FILTERS
            ]
        if named:
            known = ", ".join(_FILTERS)
            return Problem("UnsupportedValue", f"{', '.join(named)}: the local cluster does not carry it out; it knows {known}")
    return None


def problems(route: Object, resolve: Resolve) -> list[Problem]:
    """What is wrong with the route's backends, mirrors among them."""
    found = []
    for rule in route["spec"].get("rules") or ():
        mirrors = [one["requestMirror"]["backendRef"] for one in rule.get("filters") or () if one["type"] == "RequestMirror"]
        found += [resolve(reference) for reference in (*(rule.get("backendRefs") or ()), *mirrors)]
    return [one for one in found if isinstance(one, Problem)]


def services(route: Object, resolve: Resolve) -> list[Service]:
    """The Services that the route's requests and their copies are sent to."""
    found = []
    for rule in route["spec"].get("rules") or ():
        mirrors = [one["requestMirror"]["backendRef"] for one in rule.get("filters") or () if one["type"] == "RequestMirror"]
        found += [resolve(reference) for reference in (*(rule.get("backendRefs") or ()), *mirrors)]
    return [one for one in found if isinstance(one, Service)]


def ranked(route: Object, resolve: Resolve) -> list[Ranked]:
    """The route's matches, each with what is done."""
    found = []
    for rule in route["spec"].get("rules") or ():
        matches: Sequence[Mapping[str, Any]] = rule.get("matches") or ({},)
        for match in matches:
            found.append(Ranked(_rank(match), {"match": _match(match), **_action(rule, match, resolve)}))
    return found


def _path(match: Mapping[str, Any]) -> tuple[str, str]:
    path = match.get("path") or {}
    return path.get("type", "PathPrefix"), path.get("value", "/")


def _rank(match: Mapping[str, Any]) -> tuple[int, ...]:
    kind, value = _path(match)
    exact, length = int(kind == "Exact"), len(value) if kind != "RegularExpression" else 0
    return exact, length, int("method" in match), len(match.get("headers") or ()), len(match.get("queryParams") or ())


def _match(match: Mapping[str, Any]) -> dict[str, Any]:
    kind, value = _path(match)
    if kind == "Exact":
        path: dict[str, Any] = {"path": value}
    elif kind == "RegularExpression":
        path = {"safe_regex": {"regex": value}}
    else:
        path = {"prefix": "/"} if value == "/" else {"path_separated_prefix": value.rstrip("/")}
    headers = [{"name": one["name"].lower(), "string_match": _text(one)} for one in match.get("headers") or ()]
    if "method" in match:
        headers.append({"name": ":method", "string_match": {"exact": match["method"]}})
    query = [{"name": one["name"], "string_match": _text(one)} for one in match.get("queryParams") or ()]
    return {**path, **({"headers": headers} if headers else {}), **({"query_parameters": query} if query else {})}


def _text(match: Mapping[str, Any]) -> dict[str, Any]:
    if match.get("type", "Exact") == "RegularExpression":
        return {"safe_regex": {"regex": match["value"]}}
    return {"exact": match["value"]}


def _action(rule: Mapping[str, Any], match: Mapping[str, Any], resolve: Resolve) -> dict[str, Any]:
    filters = rule.get("filters") or ()
    headers = _headers(filters)
    redirect = next((one["requestRedirect"] for one in filters if one["type"] == "RequestRedirect"), None)
    if redirect is not None:
        return {"redirect": _redirect(redirect, match), **headers}
    clusters = [_weighted(reference, resolve) for reference in rule.get("backendRefs") or ()]
    carrying = [one for one in clusters if one["weight"]]
    if not carrying:
        return {"direct_response": {"status": 500}, **headers}
    action: dict[str, Any] = {
        "weighted_clusters": {"clusters": carrying},
        "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
        "timeout": _timeout(rule.get("timeouts") or {}),
    }
    rewrite = next((one["urlRewrite"] for one in filters if one["type"] == "URLRewrite"), None)
    if rewrite is not None:
        action |= _rewrite(rewrite, match)
    mirrors = [_mirror(one["requestMirror"], resolve) for one in filters if one["type"] == "RequestMirror"]
    if any(mirrors):
        action["request_mirror_policies"] = [mirror for mirror in mirrors if mirror]
    return {"route": action, **headers}


def _weighted(reference: Mapping[str, Any], resolve: Resolve) -> dict[str, Any]:
    service, weight = resolve(reference), reference.get("weight")
    name = service.name if isinstance(service, Service) else MISSING
    return {"name": name, "weight": 1 if weight is None else weight, **_headers(reference.get("filters") or ())}


def _mirror(given: Mapping[str, Any], resolve: Resolve) -> dict[str, Any] | None:
    service = resolve(given["backendRef"])
    if isinstance(service, Problem):
        return None
    fraction = given.get("fraction") or {"numerator": given.get("percent", 100)}
    share = fraction["numerator"] / fraction.get("denominator", 100)
    part = {"numerator": round(share * 1_000_000), "denominator": "MILLION"}
    return {"cluster": service.name, "runtime_fraction": {"default_value": part}}


def _headers(filters: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in filters:
        for kind, prefix in (("requestHeaderModifier", "request"), ("responseHeaderModifier", "response")):
            given = one.get(kind)
            if given is None:
                continue
            added = [_header(held, _SET) for held in given.get("set") or ()]
            added += [_header(held, _ADD) for held in given.get("add") or ()]
            found |= {f"{prefix}_headers_to_add": added} if added else {}
            found |= {f"{prefix}_headers_to_remove": list(given["remove"])} if given.get("remove") else {}
    return found


def _header(given: Mapping[str, str], action: str) -> dict[str, Any]:
    return {"header": {"key": given["name"], "value": given["value"].replace("%", "%%")}, "append_action": action}


def _redirect(given: Mapping[str, Any], match: Mapping[str, Any]) -> dict[str, Any]:
    redirect: dict[str, Any] = {"response_code": _REDIRECTS[given.get("statusCode", 302)]}
    if "scheme" in given:
        redirect["scheme_redirect"] = given["scheme"]
    if "hostname" in given:
        redirect["host_redirect"] = given["hostname"]
    if "port" in given:
        redirect["port_redirect"] = given["port"]
    path = given.get("path") or {}
    if path.get("type") == "ReplaceFullPath":
        redirect["path_redirect"] = path["replaceFullPath"]
    elif path.get("type") == "ReplacePrefixMatch":
        redirect |= _prefix(path["replacePrefixMatch"], match)
    return redirect


def _rewrite(given: Mapping[str, Any], match: Mapping[str, Any]) -> dict[str, Any]:
    rewrite: dict[str, Any] = {}
    if "hostname" in given:
        rewrite["host_rewrite_literal"] = given["hostname"]
    path = given.get("path") or {}
    if path.get("type") == "ReplaceFullPath":
        rewrite["regex_rewrite"] = {"pattern": {"regex": "^/.*$"}, "substitution": path["replaceFullPath"]}
    elif path.get("type") == "ReplacePrefixMatch":
        rewrite |= _prefix(path["replacePrefixMatch"], match)
    return rewrite


def _prefix(replacement: str, match: Mapping[str, Any]) -> dict[str, Any]:
    """ "HTTPPathModifier": a trailing slash is of no account; /foo/bar under /foo becomes /bar by / and by an empty one."""
    prefix, wanted = _path(match)[1].rstrip("/"), replacement.rstrip("/")
    if wanted and prefix:
        return {"prefix_rewrite": wanted}
    return {"regex_rewrite": {"pattern": {"regex": f"^{re.escape(prefix)}/*"}, "substitution": f"{wanted}/"}}


def _timeout(given: Mapping[str, str]) -> str:
    """The shorter of a request's and its backend's: nothing is sent twice here. 0 is none."""
    found = [seconds for name in ("request", "backendRequest") if name in given and (seconds := _seconds(given[name])) > 0]
    return f"{min(found):g}s" if found else "0s"


def _seconds(duration: str) -> float:
    """GEP-2257: Gateway API Duration Format."""
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(duration))


def in_order(found: Sequence[Ranked]) -> list[dict[str, Any]]:
    """Envoy asks the first that matches; of equals the older route's, and the first of its rules."""
    return [one.route for one in sorted(found, key=lambda one: one.rank, reverse=True)]
