"""What config must fulfil beyond its form: rules between fields, and between config, AWS and the release manifests."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from turnout_components import (
    capacity,
    checks,
    ingress_rules,
    network_rules,
    node_document,
    rollout_spec,
    runner_policy,
    scaling_rules,
    secret_rules,
)
from turnout_components.checks import Fault
from turnout_components.durations import DURATION
from turnout_components.network import Nat
from turnout_components.release import Release, ReleaseError
from turnout_components.release import load as load_release
from turnout_components.rollout_spec import Mirror, RolloutSpec, StrategyName
from turnout_components.user_data import Options, render

from infra import platform_rules, pod_settings
from infra.config import (
    ENVIRONMENTS,
    Cloud,
    Environments,
    Health,
    Ingress,
    Network,
    Platform,
    Pool,
    Protocol,
    Runner,
    Scaling,
    Secrets,
    TrafficSettings,
)

ONLY_HTTP = {"client_keep_alive", "redirect_port", "web_acl_arn"}
ONLY_TCP = {"alpn_policy"}
Parts = Mapping[str, Any]
"""The sections of a stack's config that are well-formed, by key."""


def broken(parts: Parts, root: Path) -> list[Fault]:
    """Every rule that is broken among the sections that are well-formed."""
    platform = parts.get("platform", Platform.EC2)
    faults = list(platform_rules.foreign(platform, parts))
    said = {fault.field for fault in faults}
    for needed, rule in (*_RULES, *_OF[platform]):
        if all(part in parts for part in needed):
            faults += [fault for fault in rule(*(parts[part] for part in needed)) if fault.field not in said]
    releases, wrong = _releases(parts, root) if {"releases", "environments"} <= parts.keys() else ({}, [])
    faults += wrong
    for name, release in releases.items():
        faults += _server_faults(f"environments.{name}.release", name, release, parts)
    if platform is not Platform.EC2:
        faults += [fault for fault in pod_settings.faults(parts, releases) if fault.field not in said]
    return faults


def _service_faults(service: str) -> Iterable[Fault]:
    """A load balancer's name must not begin so ("CreateLoadBalancer", Elastic Load Balancing API)."""
    if service.startswith("internal-"):
        yield Fault("service", service, "begins like no load balancer may", "choose a name that does not begin with internal-")


def _network_faults(network: Network, region: str) -> Iterable[Fault]:
    new = {"cidr": network.cidr, "zones": network.zones}
    ids = ("vpc_id", "public_subnet_ids", "private_subnet_ids")
    existing = {key: getattr(network, key) for key in ids}
    if any(existing.values()):
        yield from (
            Fault(f"network.{key}", None, "is missing", "an existing network needs all of " + ", ".join(ids))
            for key, value in existing.items()
            if not value
        )
        yield from (
            Fault(f"network.{key}", value, "describes a new network beside an existing one", "leave one of them out")
            for key, value in new.items()
            if value is not None
        )
        return
    if network.cidr is None:
        yield Fault("network.cidr", None, "is missing", "write an IPv4 block such as 10.20.0.0/16")
    else:
        yield from checks.below("network.cidr", checks.vpc_cidr(network.cidr))
    yield from checks.below("network.zones", checks.zones(network.zones or (), region))


def _network_parts_faults(network: Network, cloud: Cloud) -> Iterable[Fault]:
    yield from checks.below("network", network_rules.faults(network.model_dump(exclude_none=True)))
    if cloud is Cloud.AWS and network.vpc_id is None and network.nat is Nat.NONE and not network.endpoints:
        reason = "leaves nodes without a way to images, models and AWS's API"
        yield Fault("network.nat", "none", reason, "write single or per_zone, or list network.endpoints")


def _ingress_faults(ingress: Ingress, cloud: Cloud, region: str) -> Iterable[Fault]:
    given = ingress.model_dump(exclude_none=True, include=ingress.model_fields_set)
    over_tcp = ingress.protocol is Protocol.TCP
    if not over_tcp:
        given["redirect_port"] = ingress.redirect_port if ingress.certificate_arn else None
    judged = ingress_rules.network_faults({**given, "health_paths": ENVIRONMENTS}) if over_tcp else ingress_rules.faults(given)
    yield from checks.below("ingress", [*judged, *ingress_rules.cidr_faults(given)])
    for field in sorted(ONLY_HTTP & given.keys()) if over_tcp else ONLY_TCP & given.keys():
        fix = f"leave it out, or write ingress.protocol: {'http' if over_tcp else 'tcp'}"
        yield Fault(f"ingress.{field}", given[field], f"is not of a load balancer for {ingress.protocol.value}", fix)
    if over_tcp and cloud is Cloud.LOCAL:
        yield Fault("ingress.protocol", "tcp", "is not carried by the local cloud", "write http, or rehearse this in AWS")
    for field in ("allowed_cidrs", "test_cidrs"):
        yield from checks.below(f"ingress.{field}", checks.overlapping(getattr(ingress, field)))
    if ingress.port == ingress.test_port:
        yield Fault("ingress.test_port", ingress.test_port, "is the users' port", "choose another, such as 8081")
    if ingress.certificate_arn and ingress.certificate_arn.split(":")[3] != region:
        yield Fault("ingress.certificate_arn", ingress.certificate_arn, f"is not in {region}", f"use a certificate of {region}")
    if cloud is Cloud.AWS and ingress.certificate_arn is None and "0.0.0.0/0" in ingress.allowed_cidrs:
        reason = "everybody's requests would cross the internet in plain text"
        yield Fault("ingress.certificate_arn", None, reason, "give an ACM certificate, or narrow ingress.allowed_cidrs")


def _pool_faults(pool: Pool, cloud: Cloud) -> Iterable[Fault]:
    yield from checks.below("pool", capacity.faults(pool.model_dump(exclude_none=True)))
    if pool.boot and cloud is Cloud.AWS:
        yield Fault("pool.boot", pool.boot, "is how long the local cloud takes; AWS takes what it takes", "leave it out")


def _place_faults(pool: Pool, network: Network) -> Iterable[Fault]:
    """What needs one zone gets one."""
    zones = network.zones or ()
    if pool.zone is not None and pool.zone not in zones:
        fix = f"name one of {', '.join(zones)}" if zones else "leave it out, and give the zone's subnets in private_subnet_ids"
        yield Fault("pool.zone", pool.zone, "is none of network.zones", fix)
        return
    count = 1 if pool.zone is not None else len(zones or network.private_subnet_ids or ())
    machine = pool.model_dump(exclude_none=True)
    anywhere = capacity.faults(machine)
    found = [fault for fault in capacity.faults(machine, count or None) if fault not in anywhere]
    yield from checks.below("pool", [replace(fault, fix="name one in pool.zone") if zones else fault for fault in found])


def _secret_faults(secrets: Secrets, seeds: Mapping[str, str]) -> Iterable[Fault]:
    rotated = (secrets.rotation.lambda_arn, secrets.rotation.days) if secrets.rotation else None
    window = secrets.recovery_window_days
    judged = secret_rules.faults(secrets.names, seeds, secrets.references, rotated=rotated, recovery=window)
    yield from (fault for fault in judged if fault.field.startswith("seeds."))
    yield from checks.below("secrets", (fault for fault in judged if not fault.field.startswith("seeds.")))
    if secrets.vault is None and any(reference.startswith("vault:") for reference in secrets.references.values()):
        yield Fault("secrets.vault", None, "names no Vault", "write {address: https://vault.example.com, role: …}")


def _scaling_faults(scaling: Scaling | None, pool: Pool, ingress: Ingress) -> Iterable[Fault]:
    if scaling is not None:
        for name in ("target_tracking", "predictive"):
            wanted = getattr(getattr(scaling, name), "requests_per_target", None)
            if wanted is not None and ingress.protocol is Protocol.TCP:
                reason = "counts requests, and a network load balancer knows connections only"
                yield Fault(f"scaling.{name}.requests_per_target", wanted, reason, "follow gpu_utilization or queue_length")
        said = {**scaling.model_dump(exclude_none=True), "target_group_arn": "known", "load_balancer_arn": "known"}
        found = scaling_rules.faults(said, pool.minimum, pool.maximum)
        yield from checks.below("scaling", (fault for fault in found if fault.field not in ("minimum", "maximum")))


def _health_faults(health: Health) -> Iterable[Fault]:
    return checks.below("health", checks.health_times(health.interval, health.timeout))


def _traffic_faults(traffic: TrafficSettings, environments: Environments) -> Iterable[Fault]:
    releases = environments.releases()
    yield from checks.below("traffic.standby", checks.standby_times(traffic.standby.retain_for, traffic.standby.bake))
    if traffic.active not in releases:
        yield Fault("traffic.active", traffic.active, "names no environment", "write blue or green")
    elif releases[traffic.active] is None:
        fix = f"set turnout:environments.{traffic.active}.release, or name the other environment"
        yield Fault("traffic.active", traffic.active, "names an environment without release", fix)
    if traffic.weights is None:
        return
    yield from checks.below("traffic.weights", checks.weights(traffic.weights, ENVIRONMENTS))
    if traffic.active in releases and traffic.weights.get(traffic.active, 0) == 0:
        fix = f"give {traffic.active} a share, or change traffic.active"
        yield Fault("traffic.weights", traffic.weights, f"give nothing to the active environment {traffic.active}", fix)
    for name, weight in traffic.weights.items():
        if weight > 0 and name != traffic.active and name in releases and releases[name] is None:
            fix = f"set turnout:environments.{name}.release, or give it 0"
            yield Fault(f"traffic.weights.{name}", weight, "is a share of an environment without release", fix)


def _standby_faults(traffic: TrafficSettings, pool: Pool) -> Iterable[Fault]:
    minimum = traffic.standby.warm_minimum
    if minimum > pool.maximum:
        fix = f"write {pool.maximum} or less"
        yield Fault("traffic.standby.warm_minimum", minimum, f"is above pool.maximum {pool.maximum}", fix)
    if not traffic.gate_timeout:
        yield Fault("traffic.gate_timeout", "0s", "leaves no time to become ready", DURATION)


def _experiment_faults(rollout: RolloutSpec, ingress: Ingress) -> Iterable[Fault]:
    if ingress.protocol is Protocol.TCP and any(isinstance(step, rollout_spec.Experiment) for step in rollout.plan()):
        fix = "write ingress.protocol: http, or another strategy"
        reason = "divides users by a request header, which a network load balancer does not read"
        yield Fault("rollout.strategy", rollout.strategy.value, reason, fix)


def _mirror_faults(pool: Pool, rollout: RolloutSpec, cloud: Cloud, ingress: Ingress) -> Iterable[Fault]:
    if pool.mirror_image is not None and ingress.protocol is Protocol.TCP:
        fix = "write ingress.protocol: http, or leave it out"
        yield Fault("pool.mirror_image", pool.mirror_image, "copies requests of HTTP/1.1, not connections", fix)
    mirrors = rollout.strategy is StrategyName.SHADOW or any(isinstance(step, Mirror) for step in rollout.steps)
    if pool.mirror_image is None and mirrors and cloud is Cloud.AWS:
        fix = "write <image of Envoy>@sha256:<64 hex digits>, or a rollout without a mirror"
        yield Fault("pool.mirror_image", None, "is missing: turnout:rollout has a mirror, and no node could run it", fix)


def _downtime_faults(rollout: RolloutSpec, cloud: Cloud, ingress: Ingress) -> Iterable[Fault]:
    if rollout.strategy is StrategyName.RECREATE:
        faults = checks.downtime(cloud.value, ingress.deletion_protection, ingress.allowed_cidrs)
        yield from checks.below("rollout.strategy", faults)


def _runner_faults(runner: Runner | None, rollout: RolloutSpec) -> Iterable[Fault]:
    if runner is None:
        return
    yield from checks.below("runner", runner_policy.faults(runner.model_dump(exclude_none=True)))
    if runner.topic_key_arn is not None and rollout.alerts.topic is None:
        fix = "name the topic in rollout.alerts.topic, or leave the key out"
        yield Fault("runner.topic_key_arn", runner.topic_key_arn, "is a key of no topic", fix)


_Rules = tuple[tuple[tuple[str, ...], Callable[..., Iterable[Fault]]], ...]
_RULES: _Rules = (
    (("platform", "cloud"), platform_rules.place),
    (("traffic", "pool"), _standby_faults),
    (("health",), _health_faults),
    (("traffic", "environments"), _traffic_faults),
)
"""Of every platform."""
_IN_AN_ACCOUNT: _Rules = (
    (("service",), _service_faults),
    (("network", "region"), _network_faults),
    (("network", "cloud"), _network_parts_faults),
    (("ingress", "cloud", "region"), _ingress_faults),
    (("rollout", "ingress"), _experiment_faults),
    (("rollout", "cloud", "ingress"), _downtime_faults),
    (("runner", "rollout"), _runner_faults),
)
_ON_INSTANCES: _Rules = (
    (("pool", "cloud"), _pool_faults),
    (("pool", "network"), _place_faults),
    (("secrets", "seeds"), _secret_faults),
    (("scaling", "pool", "ingress"), _scaling_faults),
    (("pool", "rollout", "cloud", "ingress"), _mirror_faults),
)
_OF: Mapping[Platform, _Rules] = {
    Platform.EC2: (*_IN_AN_ACCOUNT, *_ON_INSTANCES),
    Platform.EKS: (*_IN_AN_ACCOUNT, *platform_rules.ON_EKS),
    Platform.KUBERNETES: platform_rules.ON_KUBERNETES,
}


def _releases(parts: Parts, root: Path) -> tuple[dict[str, Release], list[Fault]]:
    """The releases that environments name, by environment, and what is wrong with their manifests."""
    found: dict[str, Release] = {}
    faults: list[Fault] = []
    for name, release_id in parts["environments"].releases().items():
        try:
            if release_id is not None:
                found[name] = load_release(root / parts["releases"], release_id)
        except ReleaseError as error:
            text = str(error).replace(f"{root}{os.sep}", "")
            faults += [Fault(f"environments.{name}.release", release_id, line, "") for line in text.splitlines()]
    return found, faults


def _server_faults(field: str, environment: str, release: Release, parts: Parts) -> Iterable[Fault]:
    """What is wrong with a release's servers behind this load balancer, and on instances."""
    platform = parts.get("platform")
    if "ingress" in parts and parts["ingress"].protocol is Protocol.HTTP and platform is not Platform.KUBERNETES:
        engine, idle = release.engine, parts["ingress"].idle_timeout
        yield from checks.below(field, checks.keep_alive(engine.flags, engine.env, idle))
    if {"service", "pool", "health"} <= parts.keys() and platform is Platform.EC2:
        pool = parts["pool"]
        told: Options = {"mirror": node_document.mirror(pool.mirror_image)} if pool.mirror_image else {}
        script = render(parts["service"], environment, release.for_storage(), pool.port, parts["health"].drain, **told)
        yield from checks.below(field, checks.user_data_size(script))
