"""What AWS refuses of a load balancer, and what would not do what it says, as pure functions (`checks.Fault`).

`ingress` holds the plain values of `IngressArgs`; what is left out or None is at its default. docs/aws-rules.md has the pages.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from turnout_components import checks
from turnout_components.checks import Fault

Ingress = Mapping[str, Any]

PORT = 443
TEST_PORT = 8081
REDIRECT_PORT = 80
IDLE_TIMEOUT = 60
CLIENT_KEEP_ALIVE = 3600
OF_THE_BALANCER = frozenset(
    (
        *("subnet_ids", "internal", "idle_timeout", "client_keep_alive"),
        *("access_logs", "deletion_protection", "web_acl_arn", "record"),
    )
)
"""Settings that describe a load balancer itself."""
TCP_IDLE_TIMEOUTS = range(60, 6001)
"""Seconds of a TCP listener ("Listeners for your Network Load Balancers", listener attributes)."""
IDLE_TIMEOUTS = range(1, 4001)
"""Seconds ("LoadBalancerAttribute", Elastic Load Balancing API Reference)."""
CLIENT_KEEP_ALIVES = range(60, 604_801)
"""Seconds (same page)."""
SECURED = {"HTTP": "HTTPS", "TCP": "TLS"}
"""What a listener speaks without a certificate, and with one."""
ALPN_POLICIES = ("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None")
"""("ALPN policies", User Guide for Network Load Balancers)."""
_NAME = re.compile(r"^(?!internal-)(?!-)[A-Za-z0-9-]+(?<!-)$")
_PREFIX = re.compile(r"^(?!/)[A-Za-z0-9._/-]*(?<!/)$")
_DOMAIN = re.compile(r"^(?=.{1,253}\.?$)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]*\.?$", re.I)


def faults(ingress: Ingress) -> list[Fault]:
    """Every rule that the load balancer breaks."""
    return [fault for rule in _RULES for fault in rule(ingress)]


def network_faults(balancer: Ingress) -> list[Fault]:
    """Every rule that a network load balancer breaks; `balancer` holds the plain values of `NetworkLoadBalancerArgs`."""
    rules = (_access_logs, _record, _network_zones, _test_ports, _network_tls)
    return [fault for rule in rules for fault in rule(balancer)]


def refuse(name: str, found: Iterable[Fault]) -> None:
    """Raises `ValueError` with a line for each fault of the component `name`."""
    checks.refuse([*name_faults(name), *found])


def cidr_faults(balancer: Ingress) -> list[Fault]:
    """Whom a load balancer of either kind admits: a list of IPv4 blocks."""
    found = []
    for field in ("allowed_cidrs", "test_cidrs"):
        cidrs = balancer.get(field) or ()
        if isinstance(cidrs, str):
            found.append(Fault(field, cidrs, "is one text and no list", f"write [{cidrs!r}]"))
        else:
            found += [fault for cidr in cidrs for fault in checks.below(field, checks.ipv4_block(cidr))]
    return found


def name_faults(name: str) -> list[Fault]:
    """Names of load balancers and target groups begin with the component's ("CreateLoadBalancer", "CreateTargetGroup")."""
    if _NAME.match(name):
        return []
    fix = "write letters, digits and hyphens, no hyphen first or last, and not internal- first"
    return [Fault("name", name, "begins no load balancer's name", fix)]


def redirect_port(ingress: Ingress) -> int | None:
    """Where plain HTTP is redirected from: by default port 80 of a load balancer of one's own that speaks TLS."""
    if "redirect_port" in ingress:
        return None if ingress["redirect_port"] is None else int(ingress["redirect_port"])
    return REDIRECT_PORT if ingress.get("certificate_arn") and not ingress.get("existing") else None


def _number(ingress: Ingress, key: str, default: int) -> int:
    value = ingress.get(key)
    return default if value is None else int(value)


def _times(ingress: Ingress) -> Iterable[Fault]:
    """Bounds: "LoadBalancerAttribute". A server that closes idle connections first causes stray 502s ("Troubleshoot your
    Application Load Balancers", User Guide for Application Load Balancers)."""
    idle = _number(ingress, "idle_timeout", IDLE_TIMEOUT)
    for key, value, allowed in (
        ("idle_timeout", idle, IDLE_TIMEOUTS),
        ("client_keep_alive", _number(ingress, "client_keep_alive", CLIENT_KEEP_ALIVE), CLIENT_KEEP_ALIVES),
    ):
        if value not in allowed:
            reason = "is no time of a load balancer's connections"
            yield Fault(key, value, reason, f"write seconds from {allowed.start} to {allowed.stop - 1}")
    server = ingress.get("server_keep_alive")
    if server is not None and int(server) <= idle and not ingress.get("existing"):
        reason = f"is the keep-alive of servers behind an idle timeout of {idle} s: they close connections that are in use"
        yield Fault("server_keep_alive", server, reason, f"serve with {idle + 15}, or set idle_timeout below {server}")


def existing_faults(args: Mapping[str, Any]) -> Iterable[Fault]:
    """Either a load balancer of its own, or one that exists as it is. Only which arguments there are counts."""
    given = {key for key, value in args.items() if value is not None}
    if "existing" not in given and "subnet_ids" not in given:
        fix = "give a subnet in each of two zones or more, or a load balancer that exists"
        yield Fault("subnet_ids", None, "is missing", fix)
    for key in sorted(OF_THE_BALANCER & given if "existing" in given else ()):
        shown = args[key] if isinstance(args[key], (bool, int, str)) else "…"
        yield Fault(key, shown, "describes a load balancer of its own, and this one exists", "leave it out")


def _redirect(ingress: Ingress) -> Iterable[Fault]:
    """A redirect leads to a listener that speaks TLS; a port has one listener ("CreateListener": DuplicateListener)."""
    port = redirect_port(ingress)
    if port is None:
        return
    if not ingress.get("certificate_arn"):
        fix = "give certificate_arn, or leave redirect_port out"
        yield Fault("redirect_port", port, "would redirect to HTTPS, which nothing speaks without a certificate", fix)
    if not 1 <= port <= 65535:
        yield Fault("redirect_port", port, "is no port", "write a port from 1 to 65535")
    for key, default, whose in (("port", PORT, "the users'"), ("test_port", TEST_PORT, "the tests'")):
        if port == _number(ingress, key, default):
            yield Fault("redirect_port", port, f"is {whose} port too", f"choose another, or null, or change {key}")


def _access_logs(ingress: Ingress) -> Iterable[Fault]:
    """ELB adds its own `/AWSLogs/…` to the prefix ("Enable access logs for your Application Load Balancer"); which characters
    it takes is said by ModifyLoadBalancerAttributes' ValidationError only."""
    logs = ingress.get("access_logs")
    if logs is None:
        return
    if not logs.get("bucket"):
        yield Fault(
            "access_logs.bucket", logs.get("bucket"), "names no bucket", "write the name of a bucket of the same region"
        )
    prefix = logs.get("prefix")
    if not isinstance(prefix, str):
        return
    if "AWSLogs" in prefix:
        fix = "leave AWSLogs out: Elastic Load Balancing adds it"
        yield Fault("access_logs.prefix", prefix, "holds AWSLogs, which a prefix must not", fix)
    if not _PREFIX.match(prefix):
        fix = "write letters, digits and . - _ / without a slash first or last, such as turnout/prod"
        yield Fault("access_logs.prefix", prefix, "is no prefix of access logs", fix)


def _cross_zone(ingress: Ingress) -> Iterable[Fault]:
    """ "Cross-zone load balancing for target groups" (User Guide for Application Load Balancers): without it no
    target stickiness."""
    if ingress.get("cross_zone") is False and ingress.get("stickiness"):
        yield Fault("cross_zone", False, "does not go with target stickiness", "leave one of them out")


def _targets(ingress: Ingress) -> Iterable[Fault]:
    """ "Target type" (User Guide for Application Load Balancers); a Lambda function has no health of a release's."""
    kind = ingress.get("target_type") or "instance"
    if kind not in ("instance", "ip"):
        yield Fault("target_type", kind, "is nothing that a release runs on", "write instance, or ip for pods")


def _zones(ingress: Ingress) -> Iterable[Fault]:
    """Two zones at least, one subnet in each ("Subnets for your load balancer")."""
    subnets = ingress.get("subnet_ids")
    if isinstance(subnets, (list, tuple)) and all(isinstance(subnet, str) for subnet in subnets):
        if len(set(subnets)) < 2:
            yield Fault("subnet_ids", list(subnets), "are fewer than two", "give a subnet in each of two zones or more")
        elif len(set(subnets)) < len(subnets):
            yield Fault("subnet_ids", list(subnets), "name a subnet twice", "name each once")


def _record(ingress: Ingress) -> Iterable[Fault]:
    """ "DNS domain name format" (Amazon Route 53 Developer Guide)."""
    record = ingress.get("record")
    if record is None:
        return
    if not record.get("zone_id"):
        yield Fault(
            "record.zone_id", record.get("zone_id"), "names no hosted zone", "write an id such as Z0123456789ABCDEFGHIJ"
        )
    name = record.get("name")
    if not name or (isinstance(name, str) and not _DOMAIN.match(name)):
        yield Fault("record.name", name, "is no domain name", "write a name in the zone such as assistant.example.com")


def test_ports(balancer: Ingress) -> dict[str, int]:
    """A port for the tests of each environment: a network load balancer reads no headers. By default 8081 and the next."""
    given = balancer.get("test_ports")
    environments = list(balancer.get("health_paths") or ())
    return dict(given) if given is not None else {name: TEST_PORT + place for place, name in enumerate(environments)}


def _network_zones(balancer: Ingress) -> Iterable[Fault]:
    """One subnet a zone ("Network Load Balancers", Availability Zones)."""
    subnets = balancer.get("subnet_ids")
    if isinstance(subnets, (list, tuple)) and all(isinstance(subnet, str) for subnet in subnets):
        if not subnets:
            yield Fault("subnet_ids", list(subnets), "are none", "give a subnet in each of two zones or more")
        elif len(set(subnets)) < len(subnets):
            yield Fault("subnet_ids", list(subnets), "name a subnet twice", "name each once")


def _test_ports(balancer: Ingress) -> Iterable[Fault]:
    """A port has one listener ("CreateListener": DuplicateListener); a group without listener is never checked ("Health checks
    for Network Load Balancer target groups")."""
    ports, environments = test_ports(balancer), set(balancer.get("health_paths") or ())
    if set(ports) != environments:
        fix = f"give a port to each of {', '.join(sorted(environments))}, or leave test_ports out"
        yield Fault("test_ports", ports, "are not of the environments in health_paths", fix)
    every = [_number(balancer, "port", PORT), *ports.values()]
    if len(set(every)) < len(every):
        yield Fault("test_ports", ports, f"and port {every[0]} name a port twice", "name each once")


def _network_tls(balancer: Ingress) -> Iterable[Fault]:
    """ "Enable access logs for your Network Load Balancer": of TLS requests only. "ALPN policies": of TLS listeners only."""
    policy = balancer.get("alpn_policy")
    if policy is not None and policy not in ALPN_POLICIES:
        yield Fault("alpn_policy", policy, "is no ALPN policy", f"write {', '.join(ALPN_POLICIES)}")
    idle = balancer.get("idle_timeout")
    if idle is not None and int(idle) not in TCP_IDLE_TIMEOUTS:
        fix = f"write seconds from {TCP_IDLE_TIMEOUTS.start} to {TCP_IDLE_TIMEOUTS.stop - 1}"
        yield Fault("idle_timeout", idle, "is no time of a TCP listener's connections", fix)
    if balancer.get("certificate_arn"):
        if idle is not None:
            yield Fault("idle_timeout", idle, "is of TCP listeners only: TLS ones wait 350 s", "leave it out")
        return
    if policy is not None:
        yield Fault("alpn_policy", policy, "is of TLS, which is not there without a certificate", "give certificate_arn")
    if balancer.get("access_logs") is not None:
        reason = "hold TLS connections only, and nothing speaks TLS without a certificate"
        yield Fault("access_logs", dict(balancer["access_logs"]), reason, "give certificate_arn, or leave access_logs out")


_RULES = (_times, _redirect, _access_logs, _cross_zone, _targets, _zones, _record)
