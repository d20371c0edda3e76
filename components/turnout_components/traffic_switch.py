"""The switch: the production listener, its weights, and the gate in front of them."""

import json
from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi
from pulumi_aws import iam, lb

from turnout_components import arguments
from turnout_components.gate_hooks import GateHooks, StandbyArgs, gate_settings, kept, make_gate, shares
from turnout_components.ingress import listener_protocol
from turnout_components.naming import ROLE_NAME_ROOM, shorten
from turnout_components.platforms import EC2
from turnout_components.step_down import ASSUME_BY_SCHEDULER, step_down_policy


class SwitchedEnvironment(TypedDict):
    """One environment as this update deploys it."""

    target_group_arn: pulumi.Input[str]
    """Where its share of requests goes."""
    group_name: NotRequired[pulumi.Input[str | None]]
    """Its auto scaling group, or on eks its workload: the listener comes after it. None: no pool."""
    release: NotRequired[pulumi.Input[str | None]]
    """Release id, `<name>@sha256:…`. None: no pool."""
    minimum: pulumi.Input[int]
    """Fewest instances of its pool."""
    maximum: pulumi.Input[int]
    """Most instances of its pool."""


class TrafficSwitchArgs(TypedDict):
    """The listener's place, the weights to put in force, and what the gate needs to judge them."""

    service: pulumi.Input[str]
    """With the stack's name the key of the switch record."""
    region: pulumi.Input[str]
    """AWS region, for the gate's calls."""
    load_balancer_arn: pulumi.Input[str]
    """The load balancer."""
    environments: Mapping[str, SwitchedEnvironment]
    """The environments by name, two to five (an ALB's limit for one action)."""
    active: pulumi.Input[str]
    """The environment that the switch names."""
    weights: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[int]]]]
    """Percent of requests by environment. Default: all to `active`."""
    configured_active: NotRequired[pulumi.Input[str]]
    """What the stack's config names, where the record decided otherwise. Default: `active`."""
    configured_weights: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[int]]]]
    """What the stack's config says, where the record decided otherwise. Default: all to `configured_active`, or `weights`."""
    port: NotRequired[pulumi.Input[int]]
    """Port of the listener. Default 443."""
    certificate_arn: NotRequired[pulumi.Input[str] | None]
    """ACM certificate; without it the listener speaks plain HTTP, or TCP."""
    protocol: NotRequired[str]
    """`HTTP`, or `TCP` of a network load balancer: weights then decide about new connections. Default HTTP."""
    alpn_policy: NotRequired[str]
    """What the TLS of a network load balancer offers to clients, such as `HTTP2Preferred`. Default none."""
    tcp_idle_timeout: NotRequired[pulumi.Input[int]]
    """Seconds without a byte after which a network load balancer ends a TCP connection. Default 350."""
    standby: NotRequired[StandbyArgs]
    """How the standby is kept."""
    recreate: NotRequired[pulumi.Input[bool]]
    """The active environment's release may be replaced in place, with downtime. Default false: that is refused."""
    record_table: NotRequired[pulumi.Input[str]]
    """DynamoDB table of the switch record, made by `turnout init`. Default turnout-switch."""
    gate_timeout: NotRequired[pulumi.Input[float]]
    """Seconds that an environment has to become ready before a move is refused. Default 900."""
    endpoint_url: NotRequired[pulumi.Input[str] | None]
    """AWS API of a local cloud, for the gate's calls."""
    platform: NotRequired[str]
    """`ec2`, or `eks`: the environments are workloads of a cluster (`Deployment/<namespace>/<name>`) whose pods' IPs are the
    target groups' targets. Default ec2."""
    cluster: NotRequired[pulumi.Input[str] | None]
    """Name of the EKS cluster, for the gate's calls with AWS's credentials."""
    context: NotRequired[pulumi.Input[str] | None]
    """A kubeconfig's context in place of `cluster`."""
    kubeconfig: NotRequired[pulumi.Input[str] | None]
    """Kubeconfig file of a local cluster, in place of `cluster`, for the gate's calls."""
    step_down_image: NotRequired[pulumi.Input[str] | None]
    """On eks: an image with kubectl, by digest, by which CronJobs step the standby down with nobody present. Default none:
    whoever comes by does it."""
    step_down_account: NotRequired[pulumi.Input[str] | None]
    """The service account of those CronJobs."""


class TrafficSwitch(pulumi.ComponentResource):
    """The production listener. Creating or moving it passes the gate first: the environments that are to carry weight must
    have their floor of healthy targets of the right release, else the update stops and the weights stay."""

    listener_arn: pulumi.Output[str]
    active: pulumi.Output[str]
    weights: pulumi.Output[dict[str, int]]
    step_down_role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TrafficSwitchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:TrafficSwitch", name, {}, opts)
        args = arguments.taken(name, args, TrafficSwitchArgs)
        # Resource hooks' failures fail an update from this version on.
        pulumi.require_pulumi_version(">=3.238.0")
        environments = args["environments"]
        place = args.get("platform", EC2)
        role_arn = self._step_down_role(name, args).arn if place == EC2 else pulumi.Output.from_input("")
        self.active = pulumi.Output.from_input(args["active"])
        self.weights = shares(args.get("weights"), self.active, list(environments))
        settings = gate_settings(args, self.active, self.weights, step_down_role_arn=role_arn, platform=place)
        hooks = GateHooks(settings, make_gate)
        listener = lb.Listener(
            f"{name}-listener",
            load_balancer_arn=args["load_balancer_arn"],
            port=args.get("port", 443),
            # Environments without weight stay in the action, so that their targets are checked.
            default_actions=[
                {
                    "type": "forward",
                    "forward": {
                        "target_groups": [
                            {"arn": state["target_group_arn"], "weight": self.weights[env]}
                            for env, state in environments.items()
                        ]
                    },
                }
            ],
            tcp_idle_timeout_seconds=args.get("tcp_idle_timeout"),
            tags={f"turnout:{env}": _deployed(state) for env, state in environments.items()},
            opts=pulumi.ResourceOptions(parent=self, hooks=hooks.binding(name)),
            **listener_protocol(args.get("certificate_arn"), args.get("protocol", "HTTP"), args.get("alpn_policy")),
        )
        self.listener_arn = listener.arn
        self.step_down_role_arn = role_arn
        self.register_outputs(
            {
                "listener_arn": self.listener_arn,
                "active": self.active,
                "weights": self.weights,
                "step_down_role_arn": self.step_down_role_arn,
                # No resource of AWS says it beforehand; policies read it here (policy_upkeep.retained).
                "standby": pulumi.Output.from_input(dict(args.get("standby", {}))).apply(kept),
            }
        )

    def _step_down_role(self, name: str, args: TrafficSwitchArgs) -> iam.Role:
        """What EventBridge Scheduler runs as when it deletes a cold standby's warm pool."""
        role = iam.Role(
            shorten(f"{name}-step-down", ROLE_NAME_ROOM),
            description="EventBridge Scheduler: delete the warm pool of a standby that has become cold",
            assume_role_policy=json.dumps(ASSUME_BY_SCHEDULER),
            tags={"turnout:service": args["service"]},
            opts=pulumi.ResourceOptions(parent=self),
        )
        where = pulumi.Output.all(service=args["service"], region=args["region"])
        iam.RolePolicy(
            f"{name}-step-down-policy",
            role=role.name,
            policy=where.apply(lambda w: json.dumps(step_down_policy(w["service"], pulumi.get_stack(), w["region"]))),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return role


def _deployed(state: SwitchedEnvironment) -> pulumi.Output[str]:
    """The environment's release as a tag of the listener: a new release of the standby so updates the listener, whose
    after-hook enters it in the record. It derives from the pool's group too: the listener comes after the pools."""
    both = pulumi.Output.all(state.get("release"), state.get("group_name"))
    return both.apply(lambda found: found[0] or "none")
