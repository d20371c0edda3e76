"""What an update leaves in force, decided before its resources: the rule between config, switch record and what is live."""

import asyncio
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from turnout_components import arguments
from turnout_components.clients import aws_client
from turnout_components.cluster_api import ClusterError
from turnout_components.gate import decide
from turnout_components.gate_hooks import StandbyArgs, place_of, shares, switch_config
from turnout_components.items import DEFAULT_TABLE, RecordError
from turnout_components.platforms import platform
from turnout_components.resolve import Decision, SwitchRefused
from turnout_components.switch_record import RecordStore

_PLACE = ("platform", "cluster", "context", "kubeconfig", "step_down_image", "step_down_account")


class DecidedEnvironment(TypedDict):
    """One environment as config wants it."""

    release: NotRequired[pulumi.Input[str | None]]
    """Release id, `<name>@sha256:…`. None: no pool."""
    minimum: pulumi.Input[int]
    """Fewest instances of its pool, without the floor that a flip has left."""
    maximum: pulumi.Input[int]
    """Most instances of its pool."""


class TrafficDecisionArgs(TypedDict):
    """What config wants, and where the record is. Give the `TrafficSwitch` the same."""

    service: pulumi.Input[str]
    """With the stack's name the key of the switch record."""
    region: NotRequired[pulumi.Input[str]]
    """AWS region; on `kubernetes` there is none."""
    environments: Mapping[str, DecidedEnvironment]
    """The environments by name."""
    active: pulumi.Input[str]
    """The environment that config names."""
    weights: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[int]]]]
    """Percent of requests by environment in config. Default: all to `active`."""
    standby: NotRequired[StandbyArgs]
    """How the standby is kept."""
    recreate: NotRequired[pulumi.Input[bool]]
    """The active environment's release may be replaced in place, with downtime. Default false: that is refused."""
    record_table: NotRequired[pulumi.Input[str]]
    """DynamoDB table of the switch record, made by `turnout init`. Default turnout-switch."""
    endpoint_url: NotRequired[pulumi.Input[str] | None]
    """AWS API of a local cloud."""
    platform: NotRequired[pulumi.Input[str]]
    """`ec2`, `eks` or `kubernetes`; there `record_table` is a namespace. Default ec2."""
    cluster: NotRequired[pulumi.Input[str] | None]
    """Name of the EKS cluster."""
    context: NotRequired[pulumi.Input[str] | None]
    """A kubeconfig's context, in place of `cluster`."""
    kubeconfig: NotRequired[pulumi.Input[str] | None]
    """Kubeconfig file of a local cluster, in place of `cluster` and of the environment's."""
    step_down_image: NotRequired[pulumi.Input[str] | None]
    """As the switch has it."""
    step_down_account: NotRequired[pulumi.Input[str] | None]
    """As the switch has it."""


class TrafficDecision(pulumi.ComponentResource):
    """Reads switch record and load balancer, and in an update (not in a preview) puts the record right where they disagree. It
    makes no resource. A change of config moves traffic, config that has not changed moves none back (docs/how-a-flip-works.md);
    pools keep the floor of the last flip. Without it a program that is applied again after a rollback stops at the gate.

    Its update fails, with the reason, where the switch refuses what config wants."""

    active: pulumi.Output[str]
    weights: pulumi.Output[dict[str, int]]
    minimums: pulumi.Output[dict[str, int]]
    maximums: pulumi.Output[dict[str, int]]
    reason: pulumi.Output[str]

    def __init__(self, name: str, args: TrafficDecisionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:TrafficDecision", name, {}, opts)
        args = arguments.taken(name, args, TrafficDecisionArgs)
        active = pulumi.Output.from_input(args["active"])
        wished = pulumi.Output.all(
            service=args["service"],
            stack=pulumi.get_stack(),
            region=args.get("region"),
            endpoint_url=args.get("endpoint_url"),
            table=args.get("record_table", DEFAULT_TABLE),
            **{key: args.get(key) for key in _PLACE},
            environments=dict(args["environments"]),
            standby=dict(args.get("standby", {})),
            recreate=args.get("recreate", False),
            configured_active=active,
            configured_weights=shares(args.get("weights"), active, list(args["environments"])),
        )
        settle = not pulumi.runtime.is_dry_run()

        async def aside(settings: dict[str, Any]) -> Decision:
            return await asyncio.to_thread(decided, settings, settle)

        decision: pulumi.Output[Decision] = wished.apply(aside)
        self.active = decision.apply(lambda found: found.traffic.active)
        self.weights = decision.apply(lambda found: dict(found.traffic.weights))
        self.minimums = decision.apply(lambda found: {name: size.minimum for name, size in found.sizes.items()})
        self.maximums = decision.apply(lambda found: {name: size.maximum for name, size in found.sizes.items()})
        self.reason = decision.apply(lambda found: found.reason)
        self.register_outputs({key: getattr(self, key) for key in ("active", "weights", "minimums", "maximums", "reason")})


def decided(settings: Mapping[str, Any], settle: bool) -> Decision:
    """The decision for a program's resolved arguments.

    Raises `SwitchRefused`, also where record or load balancer cannot be read."""

    def client(service: str) -> Any:
        return aws_client(service, settings["region"], settings["endpoint_url"])

    try:
        there = platform(place_of(settings), client)
        store = RecordStore(there.items, settings["service"], settings["stack"])
        found = decide(store, there.live, switch_config(dict(settings)), settle=settle, step_downs=there.step_downs)
    except RecordError as error:
        raise SwitchRefused(str(error)) from None
    except (BotoCoreError, ClientError, ClusterError) as error:
        raise SwitchRefused(f"record or load balancer cannot be read: {error}. Check credentials and network") from None
    pulumi.log.info(f"switch: {found.reason}")
    return found
