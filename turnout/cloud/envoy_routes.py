"""ELBv2's rules as Envoy routes. Pure.

Sources: "Listener rules for your Application Load Balancer", "Condition types for listener rules" and "Action types for
listener rules", User Guide for Application Load Balancers.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from turnout.cloud.world import Action, FixedResponse, Forward, Listener, Redirect, Rule

_REDIRECT_CODES = {"HTTP_301": "MOVED_PERMANENTLY", "HTTP_302": "FOUND"}

_COOKIE = "AWSALBTG"

_CLIENT_ADDRESS = {
    "header": {"key": "x-forwarded-for", "value": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"},
    "append_action": "APPEND_IF_EXISTS_OR_ADD",
}
"""Envoy's own way puts the machine's address in place of a loopback client."""


class UnsupportedRule(ValueError):
    """A condition or action that the local cloud does not act out; the message names it."""


def cluster_name(target_group_arn: str) -> str:
    """The Envoy cluster of a target group."""
    return "tg_" + target_group_arn.partition(":targetgroup/")[2].replace("/", "_")


def listener_name(listener_arn: str) -> str:
    """The Envoy listener, stat prefix and route name of a listener."""
    return "l_" + listener_arn.rpartition("/")[2]


def route_configuration(listener: Listener) -> dict[str, Any]:
    """The listener's rules in order; a rule that cannot be acted out never matches or answers 501, and is named by
    `unsupported`."""
    routes = []
    for rule in listener.rules:
        try:
            match = _match(rule.conditions)
            routes += [*_sticky_routes(match, rule.action), {"match": match, **_action(rule)}]
        except UnsupportedRule as error:
            if not rule.conditions:
                routes.append({"match": {"prefix": "/"}, **_direct(501, str(error))})
    return {
        "name": listener_name(listener.arn),
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        "request_headers_to_remove": ["x-envoy-external-address"],
        "request_headers_to_add": [
            _CLIENT_ADDRESS,
            _header("x-forwarded-port", str(listener.port)),
            *([_header("x-forwarded-proto", "https")] if listener.protocol == "HTTPS" else []),
        ],
    }


def unsupported(listener: Listener) -> list[str]:
    """What of the listener's rules is not acted out."""
    if not listener.carried:
        return [f"{listener.arn}: {listener.protocol} is not carried by the local cloud; its targets are checked, no more"]
    faults = []
    for rule in listener.rules:
        try:
            _match(rule.conditions)
            _action(rule)
        except UnsupportedRule as error:
            faults.append(f"{rule.arn}: {error}")
    return faults


def forwarded(listener: Listener) -> frozenset[str]:
    """ARNs of the target groups that the listener's routes name."""
    return frozenset(arn for rule in listener.rules if isinstance(rule.action, Forward) for arn in rule.action.reached)


def cookie_value(target_group_arn: str) -> str:
    """What the stickiness cookies of a target group say. An ALB's are encrypted; clients are not to read either."""
    return hashlib.sha256(target_group_arn.encode()).hexdigest()[:32]


def _sticky_routes(match: dict[str, Any], action: Action) -> list[dict[str, Any]]:
    """Clients with a cookie go to its target group whatever the weights are: "Requests that do not contain the stickiness
    cookies are routed based on the weight of each target group" ("Action types for listener rules")."""
    if not isinstance(action, Forward) or action.sticky is None:
        return []
    return [
        {
            "match": {**match, "headers": [*match.get("headers", []), _with_cookie(arn)]},
            "route": {"timeout": "0s", "cluster": cluster_name(arn)},
            "response_headers_to_add": _cookies(arn, action.sticky),
        }
        for arn, _ in action.weights
    ]


def _with_cookie(target_group_arn: str) -> dict[str, Any]:
    return _header_match("cookie", rf"(.*;\s*)?{_COOKIE}(CORS)?={cookie_value(target_group_arn)}(\s*;.*)?")


def _cookies(target_group_arn: str, seconds: int) -> list[dict[str, Any]]:
    """Both cookies ("Action types for listener rules", sticky sessions): the second is for requests across origins."""
    plain = f"={cookie_value(target_group_arn)}; Max-Age={seconds}; Path=/"
    return [
        {"header": {"key": "set-cookie", "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}
        for value in (f"{_COOKIE}{plain}", f"{_COOKIE}CORS{plain}; SameSite=None; Secure")
    ]


def _action(rule: Rule) -> dict[str, Any]:
    match rule.action:
        case Forward(weights, sticky):
            carrying = [
                {
                    "name": cluster_name(arn),
                    "weight": weight,
                    **({} if sticky is None else {"response_headers_to_add": _cookies(arn, sticky)}),
                }
                for arn, weight in weights
                if weight
            ]
            if not carrying:
                return _direct(503, "")
            return {"route": {"timeout": "0s", "weighted_clusters": {"clusters": carrying}}}
        case FixedResponse(status, content_type, body):
            return _direct(status, body, content_type)
        case Redirect(config):
            return {"redirect": _redirect(config)}
        case other:
            raise UnsupportedRule(f"action {other.what} is not acted out by the local cloud")


def _direct(status: int, body: str, content_type: str = "text/plain") -> dict[str, Any]:
    return {
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [_header("content-type", content_type)],
    }


def _redirect(config: Mapping[str, str]) -> dict[str, Any]:
    fields = {
        name: config[name]
        for name, default in (
            ("Protocol", "#{protocol}"),
            ("Host", "#{host}"),
            ("Port", "#{port}"),
            ("Path", "/#{path}"),
            ("Query", "#{query}"),
        )
        if config.get(name, default) != default
    }
    if any("#{" in value for value in fields.values()):
        raise UnsupportedRule(f"redirect with a placeholder inside a value ({fields}) is not acted out locally")
    redirect: dict[str, Any] = {"response_code": _REDIRECT_CODES[config["StatusCode"]]}
    if "Protocol" in fields:
        redirect["scheme_redirect"] = fields["Protocol"].lower()
    if "Host" in fields:
        redirect["host_redirect"] = fields["Host"]
    if "Port" in fields:
        redirect["port_redirect"] = int(fields["Port"])
    if "Path" in fields:
        query = fields.get("Query")
        redirect["path_redirect"] = fields["Path"] + (f"?{query}" if query else "")
    if "Query" in fields:
        redirect["strip_query"] = True
    return redirect


def _match(conditions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    path: dict[str, Any] = {"prefix": "/"}
    headers: list[dict[str, Any]] = []
    for condition in conditions:
        name = condition["Field"]
        match name:
            case "path-pattern":
                path = _regex(_any_of(_values(condition, "PathPatternConfig")), "safe_regex")
            case "host-header":
                hosts = _any_of(_values(condition, "HostHeaderConfig"))
                headers.append(_header_match(":authority", f"(?i)({hosts})(:[0-9]+)?"))
            case "http-header":
                config = condition["HttpHeaderConfig"]
                headers.append(_header_match(config["HttpHeaderName"].lower(), f"(?i)({_any_of(config['Values'])})"))
            case "http-request-method":
                methods = _values(condition, "HttpRequestMethodConfig")
                headers.append(_header_match(":method", "|".join(re.escape(method) for method in methods)))
            case "query-string":
                headers.append(_header_match(":path", _query(condition["QueryStringConfig"]["Values"])))
            case _:
                raise UnsupportedRule(f"condition {name} is not acted out by the local cloud")
    return {**path, **({"headers": headers} if headers else {})}


def _values(condition: Mapping[str, Any], config: str) -> list[str]:
    values = condition.get(config, {}).get("Values") or condition.get("Values")
    if not values:
        raise UnsupportedRule(f"condition {condition['Field']} without values is not acted out by the local cloud")
    return list(values)


def _query(pairs: Iterable[Mapping[str, str]]) -> str:
    alternatives = (f"{wildcard(pair['Key']) if 'Key' in pair else '[^=&]*'}={wildcard(pair['Value'])}" for pair in pairs)
    return rf"(?i)[^?]*\?(.*&)?({'|'.join(alternatives)})(&.*)?"


def _any_of(patterns: Iterable[str]) -> str:
    return "|".join(wildcard(pattern) for pattern in patterns)


def wildcard(pattern: str) -> str:
    """A pattern with `*` (any characters) and `?` (exactly one) as a regular expression for a whole value."""
    return "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in pattern)


def _header_match(name: str, regex: str) -> dict[str, Any]:
    return {"name": name, "string_match": _regex(regex, "safe_regex")}


def _regex(regex: str, key: str) -> dict[str, Any]:
    return {key: {"regex": regex}}


def _header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value.replace("%", "%%")}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
