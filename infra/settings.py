"""The stack's settings: the only reader of its config. Everything wrong with it is said at once, before anything is touched."""

import copy
import json
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import pulumi
from pydantic import TypeAdapter, ValidationError
from pydantic.warnings import UnsupportedFieldAttributeWarning
from turnout_components import config_faults
from turnout_components.checks import Fault
from turnout_components.config_faults import MISSING, shape_fault, unknown
from turnout_components.release import Release
from turnout_components.release import load as load_release
from turnout_components.resolve import EnvironmentConfig, Size, SwitchConfig
from turnout_components.rollout_spec import SmokeTest, StrategyName
from turnout_components.scaling_rules import bounds_now
from turnout_components.secret_rules import NOT_SHOWN
from turnout_components.standby import StandbyPolicy
from turnout_components.switch_record import Traffic

from infra.config import ENVIRONMENTS, Cloud, Platform, Protocol, StackConfig
from infra.rules import broken

if TYPE_CHECKING:  # a platform's program imports the components that it uses
    from turnout_components.autoscaling_policy import ScalingArgs
    from turnout_components.environment import Environment
    from turnout_components.gate_hooks import StandbyArgs
    from turnout_components.gpu_node_pool import MachineArgs
    from turnout_components.ingress import IngressArgs
    from turnout_components.mirror_access import MirrorAccessArgs
    from turnout_components.network import Network, NetworkArgs
    from turnout_components.network_load_balancer import NetworkLoadBalancerArgs
    from turnout_components.rollout_runner import RolloutRunnerArgs
    from turnout_components.service_secrets import ServiceSecretsArgs
    from turnout_components.traffic_switch import TrafficSwitch

ENDPOINT_VARIABLE = "TURNOUT_LOCAL_ENDPOINT"
KUBECONFIG_VARIABLE = "TURNOUT_LOCAL_KUBECONFIG"
OFFLINE_VARIABLE = "TURNOUT_OFFLINE"
CONFIG_REFUSED = 2
OF_AN_ACCOUNT = ("region", "network")
"""Keys that every stack in an account has."""
IN_PLAIN_TEXT = Fault(
    "seeds",
    NOT_SHOWN,
    "stands in plain text",
    "take it out, change those values where they count, and write it as secret config (docs/settings.md)",
)


class ConfigFaults(Exception):
    """Config that cannot be used: `faults` holds a line for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Settings(StackConfig):
    """A stack's config, and where it runs."""

    root: Path
    """The folder of Pulumi.yaml."""
    endpoint: str | None
    """AWS API of the local cloud; None for AWS."""
    kubeconfig: str | None = None
    """Kubeconfig of the local cluster; None elsewhere."""
    offline: bool
    """No call of AWS is made: a preview without an account."""

    def release(self, environment: str) -> Release | None:
        """The release of an environment."""
        release_id = self.environments.releases()[environment]
        return None if release_id is None else load_release(self.root / self.releases, release_id)

    def health_path(self, environment: str) -> str:
        """The health check's path, which asks a server whether it is of the right release."""
        release = self.release(environment)
        return self.health.path if release is None else f"{self.health.path}?release={release.digest}"

    def url(self, host: str, port: int) -> str:
        """Where a listener on `port` answers."""
        if self.ingress.protocol is Protocol.TCP:
            return f"{'tls' if self.ingress.certificate_arn else 'tcp'}://{host}:{port}"
        scheme, usual = ("https", 443) if self.ingress.certificate_arn else ("http", 80)
        return f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"

    def network_args(self) -> "NetworkArgs":
        """What a `Network` takes."""
        return cast("NetworkArgs", self.network.model_dump(exclude_none=True))

    def node_subnets(self, network: "Network") -> pulumi.Output[list[str]]:
        """Where nodes stand: in every zone, or in the one that the pool names."""
        if self.pool.zone is None:
            return network.private_subnet_ids
        place = (self.network.zones or ()).index(self.pool.zone)
        return network.private_subnet_ids.apply(lambda ids: [ids[place]])

    def ingress_args(self, network: "Network") -> "IngressArgs":
        """What an `Ingress` in this network takes."""
        redirect = self.ingress.redirect_port if self.ingress.certificate_arn else None
        args = {**self.ingress.model_dump(exclude_none=True, exclude={"protocol", "alpn_policy"}), "redirect_port": redirect}
        return cast("IngressArgs", args | self._reached(network))

    def connections_args(self, network: "Network") -> "NetworkLoadBalancerArgs":
        """What a `NetworkLoadBalancer` in this network takes: what was said of it, and its own defaults."""
        from turnout_components.network_load_balancer import NetworkLoadBalancerArgs

        said = self.ingress.model_dump(exclude_none=True, include=self.ingress.model_fields_set)
        tests = {name: self.ingress.test_port + place for place, name in enumerate(ENVIRONMENTS)}
        args = {key: value for key, value in said.items() if key in NetworkLoadBalancerArgs.__annotations__}
        return cast("NetworkLoadBalancerArgs", {**args, "test_ports": tests} | self._reached(network))

    def _reached(self, network: "Network") -> dict[str, Any]:
        return {
            "vpc_id": network.vpc_id,
            "subnet_ids": network.private_subnet_ids if self.ingress.internal else network.public_subnet_ids,
            "target_port": self.pool.port,
            **({"target_type": "ip"} if self.platform is Platform.EKS else {}),
            "health": self.health.model_dump(exclude={"path"}),
            "health_paths": {name: self.health_path(name) for name in ENVIRONMENTS},
        }

    @property
    def listener_args(self) -> dict[str, Any]:
        """What the production listener speaks."""
        ingress = self.ingress
        spoken: dict[str, Any] = {
            "port": ingress.port,
            "certificate_arn": ingress.certificate_arn,
            "protocol": ingress.protocol.value.upper(),
        }
        if ingress.protocol is Protocol.TCP and ingress.alpn_policy is not None:
            spoken["alpn_policy"] = ingress.alpn_policy
        if ingress.protocol is Protocol.TCP and "idle_timeout" in ingress.model_fields_set:
            spoken["tcp_idle_timeout"] = ingress.idle_timeout
        return spoken

    @property
    def notes(self) -> str:
        """What people should know of an update."""
        if self.runner is None:
            return ""
        if self.cloud is Cloud.LOCAL:
            return "; the local cloud does not run the rollout runner: `turnout rollout run` drives"
        tests = any(isinstance(step, SmokeTest) for step in self.rollout.plan())
        return "; the rollout runner runs no commands: `turnout rollout run` takes the smoke test" if tests else ""

    def environment_args(self, name: str, size: Size, weight: int) -> dict[str, Any]:
        """What an `Environment` takes beside the places where it stands, in the size that the switch decided."""
        release = self.release(name)
        return {
            "service": self.service,
            "environment": name,
            "region": self.region,
            "release": release.for_storage() if release else None,
            "scaling": self._scaling(weight),
            "protocol": self.ingress.protocol.value.upper(),
            "alarm_topic_arns": self.health.alarm_topics,
            **self._machine(size),
        }

    def _machine(self, size: Size) -> "MachineArgs":
        pool = self.pool.model_dump(exclude_none=True, exclude={"zone"} if size.warm_pool else {"zone", "warm_pool"})
        beside: dict[str, Any] = {"drain": self.health.drain, "health_path": self.health.path}
        if self.secrets.vault is not None:
            beside["vault"] = self.secrets.vault.model_dump()
        return cast("MachineArgs", {**pool, **beside, "minimum": size.minimum, "maximum": size.maximum})

    def _scaling(self, weight: int) -> "ScalingArgs | None":
        """Schedules and forecasts are of who carries weight: they must not wake a standby."""
        if self.scaling is None:
            return None
        scaling = self.scaling.model_dump(exclude_none=True, exclude=None if weight else {"schedules", "predictive"})
        return cast("ScalingArgs", scaling)

    @property
    def with_secrets(self) -> tuple[str, ...]:
        """The environments that have secrets of their own."""
        return ENVIRONMENTS if self.secrets.names else ()

    def mirror_args(self, environments: "Mapping[str, Environment]") -> "MirrorAccessArgs":
        """What a `MirrorAccess` between the nodes of these takes."""
        groups = {name: each.security_group_id for name, each in environments.items() if self.release(name) is not None}
        return {"security_group_ids": cast(Any, groups), "port": self.pool.port}

    def secrets_args(self, environment: str) -> "ServiceSecretsArgs":
        """What an environment's `ServiceSecrets` takes."""
        secrets = self.secrets.model_dump(exclude_none=True, exclude={"vault"})
        seeds = {variable: pulumi.Output.secret(value) for variable, value in self.seeds.items()}
        return cast("ServiceSecretsArgs", {"service": self.service, "environment": environment, "seeds": seeds, **secrets})

    def runner_args(self, switch: "TrafficSwitch") -> "RolloutRunnerArgs":
        """What a `RolloutRunner` of this switch takes."""
        assert self.runner is not None
        args = {
            "service": self.service,
            "region": self.region,
            "record_table": self.record_table,
            "listener_arn": switch.listener_arn,
            "step_down_role_arn": switch.step_down_role_arn,
            "topic_arn": self.rollout.alerts.topic,
            "webhook": self.rollout.alerts.webhook,
        }
        return cast("RolloutRunnerArgs", args | self.runner.model_dump(exclude_none=True))

    def switch_args(self) -> dict[str, Any]:
        """What a `TrafficSwitch` is told of the stack's wish, beside what was decided."""
        return {
            "configured_active": self.traffic.active,
            "configured_weights": self.wanted_traffic().weights,
            "standby": self._standby_args(),
            "recreate": self.recreate,
            "gate_timeout": self.traffic.gate_timeout.total_seconds(),
        }

    def reach(self) -> dict[str, Any]:
        """How a switch in a cluster reaches it, and what steps the standby down there."""
        return {"context": self.kubernetes.context, "kubeconfig": self.kubeconfig, **self.step_down_args()}

    def step_down_args(self) -> dict[str, Any]:
        """By what a standby in a cluster is stepped down with nobody present; nothing where that is not asked for."""
        step_down = self.kubernetes.step_down
        return {"step_down_image": step_down.image, "step_down_account": step_down.account} if step_down else {}

    def _standby_args(self) -> "StandbyArgs":
        standby = self.traffic.standby
        return {
            "keep": standby.keep.value,
            "retain_for": standby.retain_for.total_seconds(),
            "bake": standby.bake.total_seconds(),
            "warm_minimum": standby.warm_minimum,
            "discard": standby.discard,
            "drain": self.health.drain,
        }

    def wanted_traffic(self) -> Traffic:
        """Who is to carry how much."""
        active, weights = self.traffic.active, self.traffic.weights
        if not weights:
            return Traffic.all_to(active, ENVIRONMENTS)
        return Traffic(active=active, weights={name: weights.get(name, 0) for name in ENVIRONMENTS})

    def switch_config(self, now: datetime) -> SwitchConfig:
        """The stack's wish."""
        pool, standby = self.pool, self.traffic.standby
        schedules = [schedule.model_dump() for schedule in self.scaling.schedules] if self.scaling else []
        serving = bounds_now(schedules, pool.minimum, pool.maximum, now)
        return SwitchConfig(
            traffic=self.wanted_traffic(),
            environments={
                name: EnvironmentConfig(release, pool.minimum, pool.maximum, serving)
                for name, release in self.environments.releases().items()
            },
            standby=StandbyPolicy(
                standby.keep,
                standby.retain_for,
                standby.bake,
                standby.warm_minimum,
                standby.discard,
                timedelta(seconds=self.health.drain),
            ),
            recreate=self.recreate,
        )

    @property
    def recreate(self) -> bool:
        """Whether the active environment's release may be replaced in place (`rules` say in which stacks)."""
        return self.rollout.strategy is StrategyName.RECREATE


def load() -> Settings:
    """The running stack's settings. Prints a line for every fault and exits with status 2 when there is one."""
    from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret

    prefix = f"{pulumi.get_project()}:"
    known: dict[str, Any] = {**get_config_env(), **CONFIG.get()}
    config = {key.removeprefix(prefix): _decoded(value) for key, value in known.items() if key.startswith(prefix)}
    try:
        if config.get("seeds") and not is_config_secret(f"{prefix}seeds"):
            raise ConfigFaults([_line(IN_PLAIN_TEXT)])
        return parse(config, Path(pulumi.get_root_directory()))
    except ConfigFaults as faults:
        _refuse(faults)


def _refuse(faults: ConfigFaults) -> NoReturn:
    print(faults, file=sys.stderr, flush=True)
    sys.exit(CONFIG_REFUSED)


def _decoded(value: Any) -> Any:
    """Structured config arrives as JSON text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def parse(config: Mapping[str, Any], root: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from config without its namespace; release manifests are looked up below `root`.

    Raises `ConfigFaults` with everything that is wrong."""
    faults = [unknown((key,), value, StackConfig) for key, value in config.items() if key not in StackConfig.model_fields]
    parts: dict[str, Any] = {}
    for name, field in StackConfig.model_fields.items():
        needed = field.is_required() or (name in OF_AN_ACCOUNT and parts.get("platform") is not Platform.KUBERNETES)
        part, wrong = _read(name, config.get(name, MISSING), needed)
        faults += wrong
        if part is not MISSING:
            parts[name] = part
    said = {fault.field for fault in faults}
    faults += [fault for fault in broken(parts, root) if fault.field not in said]
    local = _local(parts, environ) if parts.get("cloud") is Cloud.LOCAL else {}
    for variable in (variable for variable, found in local.values() if not found):
        what = "local cluster" if variable == KUBECONFIG_VARIABLE else "local cloud"
        fix = "start one with `turnout local start`"
        faults.append(Fault("cloud", "local", f"no {what} is known: {variable} is not set", fix))
    if faults:
        raise ConfigFaults([_line(fault) for fault in faults])
    reached = {name: found for name, (_, found) in local.items()}
    given = {name: part for name, part in parts.items() if name in config}
    offline = environ.get(OFFLINE_VARIABLE) == "1"
    return Settings(**given, root=root, offline=offline, endpoint=reached.get("endpoint"), kubeconfig=reached.get("kubeconfig"))


def _local(parts: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, tuple[str, str | None]]:
    """Variable and value of what a local stack is reached by."""
    ways = {"endpoint": ENDPOINT_VARIABLE, "kubeconfig": KUBECONFIG_VARIABLE}
    if parts.get("platform", Platform.EC2) is Platform.EC2:
        del ways["kubeconfig"]
    elif parts["platform"] is Platform.KUBERNETES:
        del ways["endpoint"]
    return {name: (variable, environ.get(variable) or None) for name, variable in ways.items()}


def _read(name: str, value: Any, needed: bool) -> tuple[Any, list[Fault]]:
    """One key's value, and what is wrong with its form. Without its malformed parts a section may still be worth judging;
    `MISSING` when it is not."""
    field = StackConfig.model_fields[name]
    if value is MISSING and not needed:
        return field.get_default(), []
    try:
        return _adapter(name).validate_python(value), []
    except ValidationError as error:
        faults = [shape_fault(StackConfig, (name, *e["loc"]), e) for e in error.errors()]
        rest = copy.deepcopy(value)
        for path in [e["loc"] for e in error.errors()]:
            _prune(rest, path)
    try:
        return _adapter(name).validate_python(rest), faults
    except ValidationError:
        return MISSING, faults


def _prune(value: Any, path: tuple[Any, ...]) -> None:
    """Removes what is at `path` in nested mappings, if it is there."""
    for part in path[:-1]:
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict) and path:
        value.pop(path[-1], None)


def _adapter(name: str) -> TypeAdapter[Any]:
    """Validates one key of the config by itself, so that the others' faults are found too."""
    field = StackConfig.model_fields[name]
    with warnings.catch_warnings():  # a field's `repr` is for its model; said to the user it would stand before every error
        warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
        return TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]  # a form that is known at run time only


def _line(fault: Fault) -> str:
    """A line for people; of what is secret config, the value is not shown."""
    if fault.field.partition(".")[0] == "seeds" and fault.value is not None:
        fault = replace(fault, value=NOT_SHOWN)
    return config_faults.line(fault)
