"""The function that drives rollouts, of a service on EKS: its code moves pods in a cluster and traffic in moto, and calls what
its role and its rights in the cluster allow, and nothing else."""

from dataclasses import dataclass, field
from typing import Any

import botocore.session
import pytest
from turnout_components import cluster_access
from turnout_components.cluster_rights import WORKLOADS
from turnout_components.items import create_table
from turnout_components.platforms import EKS, platform
from turnout_components.rollout_spec import RolloutSpec
from turnout_components.runner_policy import runner_policy
from turnout_components.standby import StandbyPolicy
from turnout_components.switch_record import EnvironmentState, SwitchRecord, Traffic

from tests.access.driven_rollouts import COLD_LATER, OPERATOR, REGION, Driven
from tests.access.policies import says
from tests.switch.fake_cluster import FakeCluster
from tools.runner_archive import CALLED, ON_EKS
from turnout.rollout import handler
from turnout.rollout.handler import Runner, Settings
from turnout.rollout.start import Start, begin, prepare

CLUSTER, SPACE = "models", "shop"
MADE = "2026-01-02T03:00:00Z"
READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:01:30Z"}
VERBS = ("get", "list", "create", "delete", "patch", "replace")


class Pods(FakeCluster):
    """A cluster whose workloads have the pods that they want at once, ready and in their target groups."""

    def __init__(self, elbv2: Any) -> None:
        super().__init__(SPACE)
        self.elbv2 = elbv2
        self.asked: set[tuple[str, str]] = set()
        """Verb and kind of each call."""
        self.target_groups: dict[str, str] = {}
        self.after = self._controller

    def deploy(self, environment: str, number: int, replicas: int, target_group: str) -> str:
        name, labels = f"svc-{environment}", {"environment": environment}
        self.target_groups[name] = target_group
        owner = [{"uid": f"uid-{name}", "controller": True}]
        self.put("ReplicaSet", SPACE, f"{name}-1", metadata={"labels": labels, "ownerReferences": owner})
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "number": number}
        self.put("HorizontalPodAutoscaler", SPACE, name, spec={"minReplicas": replicas, "maxReplicas": 3})
        self.put("Deployment", SPACE, name, spec=spec)
        return f"Deployment/{SPACE}/{name}"

    def _controller(self, found: dict[str, Any]) -> None:
        if found["kind"] != "Deployment":
            return
        name, spec = found["metadata"]["name"], found["spec"]
        labels, owner = spec["selector"]["matchLabels"], [{"uid": f"uid-{name}-1", "controller": True}]
        for place in [key for key in self.objects if key[0] == "Pod" and key[2].startswith(f"{name}-")]:
            del self.objects[place]
        addresses = [f"10.9.{spec['number']}.{10 + place}" for place in range(int(spec["replicas"]))]
        for address in addresses:
            meta = {"labels": labels, "creationTimestamp": MADE, "ownerReferences": owner}
            status = {"podIP": address, "phase": "Running", "conditions": [READY]}
            self.put("Pod", SPACE, f"{name}-{address}", metadata=meta, status=status)
        group = {"TargetGroupArn": self.target_groups[name]}
        held = [each["Target"] for each in self.elbv2.describe_target_health(**group)["TargetHealthDescriptions"]]
        if held:
            self.elbv2.deregister_targets(**group, Targets=held)
        if addresses:
            self.elbv2.register_targets(**group, Targets=[{"Id": address, "Port": 8000} for address in addresses])


class Reached:
    """The cluster as whoever has connected has it; notes down what is asked of it."""

    def __init__(self, connect: Any, pods: Pods, noted: list[str]) -> None:
        self._connect, self._pods, self._noted = connect, pods, noted

    def __getattr__(self, verb: str) -> Any:
        assert verb in VERBS
        if not self._noted:
            self._noted.append(self._connect())

        def call(kind: str, *args: Any, **more: Any) -> Any:
            self._pods.asked.add((verb, kind))
            return getattr(self._pods, verb)(kind, *args, **more)

        return call


@dataclass
class DrivenPods(Driven):
    """The service `svc` on EKS."""

    servers: list[Any] = field(default_factory=list)

    def deploy(self) -> None:
        create_table(self.api("dynamodb"), "records", protect=False)
        ec2, elbv2, iam = self.api("ec2"), self.api("elbv2"), self.api("iam")
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        zones = [(f"10.9.{n}.0/24", f"{REGION}{zone}") for n, zone in enumerate("ab")]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"] for block, zone in zones
        ]
        role = iam.create_role(RoleName="cluster", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        self.api("eks").create_cluster(name=CLUSTER, roleArn=role, resourcesVpcConfig={"subnetIds": subnets})
        balancer = elbv2.create_load_balancer(Name="svc", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        groups = {
            name: elbv2.create_target_group(Name=f"svc-{name}", Protocol="HTTP", Port=8000, VpcId=vpc, TargetType="ip")[
                "TargetGroups"
            ][0]["TargetGroupArn"]
            for name in ("blue", "green")
        }
        traffic = Traffic.all_to("blue", list(groups))
        forward = [{"TargetGroupArn": arn, "Weight": traffic.weights[name]} for name, arn in groups.items()]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": forward}}
        listener = elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[action])
        self.pods = Pods(elbv2)
        states = {
            name: EnvironmentState(
                target_group=arn,
                group=self.pods.deploy(name, number, 3 if name == "blue" else 1, arn),
                release=f"m-{number}@sha256:{str(number) * 64}",
            )
            for number, (name, arn) in enumerate(groups.items(), 1)
        }
        arn = listener["Listeners"][0]["ListenerArn"]
        record = SwitchRecord(key="svc/dev", listener=arn, traffic=traffic, config_base=traffic, environments=states)
        self.records.write(record)
        self.monkeypatch.setattr(cluster_access, "_client", lambda config: config)
        self.monkeypatch.setattr(cluster_access, "LightkubeApi", lambda connect: Reached(connect, self.pods, self.servers))

    @property
    def settings(self) -> Settings:
        function = {"TURNOUT_SERVICE": "svc", "TURNOUT_STACK": "dev", "TURNOUT_TABLE": "records", "TURNOUT_LOOK": "30"}
        cluster = {"TURNOUT_PLATFORM": EKS, "TURNOUT_CLUSTER": CLUSTER}
        return Settings.of({**function, **cluster, "AWS_REGION": REGION, "TURNOUT_LOCAL_ENDPOINT": self.endpoint})

    def start(self, standby: StandbyPolicy, **spec: Any) -> str:
        given = RolloutSpec.model_validate({"strategy": "direct", "observe": "2m", **spec})
        start = Start(given, standby, OPERATOR, lambda: self.now)
        cloud = platform(self.settings.place(), self.api).live
        unasked: Any = None
        rollout = begin(prepare(start, self.records, cloud, unasked), self.rollouts, self.records, cloud).id
        self.servers.clear()
        self.pods.asked.clear()
        return rollout

    def runner(self) -> Runner:
        session = botocore.session.get_session()
        session.set_credentials("test", "test")
        session.register("provide-client-params", self._note)
        session.register("before-call.cloudwatch.GetMetricData", self._measured)
        self.monkeypatch.setattr(handler, "get_session", lambda: session)
        handler.compose.cache_clear()
        return handler.compose(self.settings, self._sleep, lambda: self.now)

    def _sleep(self, seconds: float) -> None:
        self.now = self.now + type(self.now - self.now)(seconds=seconds)


@pytest.fixture(scope="module")
def driven(endpoint: str) -> Any:
    """A promotion whose standby is to become cold, and a return."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        service = DrivenPods(endpoint, monkeypatch)
        service.deploy()
        service.start(COLD_LATER)
        ends = [service.drive(service.runner())["state"]]
        sizes = {kind[2]: found["spec"]["replicas"] for kind, found in service.pods.objects.items() if kind[0] == "Deployment"}
        yield service, ends, sizes


def test_a_candidate_s_pods_are_raised_and_traffic_is_at_them(driven: Any) -> None:
    service, ends, sizes = driven
    assert ends == ["promoted"], service.said
    assert sizes["svc-green"] == 3, "as many as served before"
    record = service.records.read()
    assert record.traffic.active == "green"
    assert not [line for line in service.said if line.startswith("error")]


def test_the_cluster_is_found_in_the_account_with_a_token_of_the_function_s_role(driven: Any) -> None:
    service, _, _ = driven
    (config,) = service.servers
    endpoint = service.api("eks").describe_cluster(name=CLUSTER)["cluster"]["endpoint"]
    assert config.cluster.server == endpoint
    assert config.user.token.startswith("k8s-aws-v1.")


def test_what_is_asked_of_the_cluster_is_among_the_function_s_rights(driven: Any) -> None:
    service, _, _ = driven
    rights = {(verb, right.kind) for right in WORKLOADS for verb in right.verbs}
    assert {("get", "Deployment"), ("patch", "Deployment"), ("list", "Pod")} <= service.pods.asked <= rights


def test_every_call_of_aws_is_allowed_and_no_group_of_instances_is_touched(driven: Any) -> None:
    service, _, _ = driven
    listener = service.records.read().listener
    where = {"table": "records", "listener_arn": listener, "step_down_role_arn": "", "log_group": "/aws/lambda/x"}
    policy = runner_policy(service="svc", stack="dev", region=REGION, cluster=CLUSTER, in_vpc=True, **where)
    unchecked = {"eks:DescribeCluster", "sts:GetCallerIdentity"}
    denied = {
        (call.action, call.resource)
        for call in service.calls
        if call.action not in unchecked and says(policy, call.action, call.resource, **call.context) != "Allow"
    }
    assert denied == set()
    assert says(policy, "eks:DescribeCluster", f"arn:aws:eks:{REGION}:123456789012:cluster/{CLUSTER}") == "Allow"
    assert says(policy, "eks:DescribeCluster", f"arn:aws:eks:{REGION}:123456789012:cluster/other") is None
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert not [action for action in actions if action.startswith(("autoscaling:", "scheduler:", "iam:", "ssm:"))]
    assert service.services <= CALLED | ON_EKS
    assert service.services >= ON_EKS
