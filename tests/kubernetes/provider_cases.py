"""One object of every kind that the kit uses: how it is made, what changes in place, what replaces it, and what others might do
to it. `{ns}` stands for the test's namespace."""

import json
from dataclasses import dataclass, field
from typing import Any

IMAGE = "registry.example.com/model@sha256:" + "0" * 64
LABELS = {"app.kubernetes.io/name": "assistant"}
SKIP = {"pulumi.com/skipAwait": "true"}
CONTAINER: dict[str, Any] = {
    "name": "server",
    "image": IMAGE,
    "env": [{"name": "MODEL", "value": "1000m"}],
    "ports": [{"name": "http", "containerPort": 8000}],
    "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"memory": "1024Mi"}},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": 5, "tolerations": [{"operator": "Exists"}]},
}


@dataclass(frozen=True)
class Case:
    """`fields` beside metadata; `change`: fields after an update in place; `replace`: fields that want another object;
    `meddle`: a merge patch of somebody else, which changes the top-level `meddled`."""

    token: str
    fields: dict[str, Any]
    change: dict[str, Any]
    meddle: dict[str, Any]
    meddled: str = "spec"
    replace: dict[str, Any] | None = None
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.token.rpartition(":")[2]

    def inputs(self, namespace: str, fields: dict[str, Any], name: str = "thing") -> dict[str, Any]:
        """Inputs of a program."""
        version = self.token.split(":")[1].removeprefix("core/")
        annotations = {"annotations": dict(self.annotations)} if self.annotations else {}
        place = {"namespace": namespace} if self.is_namespaced else {}
        name = name if self.is_namespaced else f"{namespace}-{name}"
        text = json.dumps(
            {"apiVersion": version, "kind": self.kind, "metadata": {"name": name, **place, **annotations}, **fields}
        )
        found = json.loads(text.replace("{ns}", namespace))
        assert isinstance(found, dict)
        return found

    @property
    def is_namespaced(self) -> bool:
        return self.kind not in ("Namespace", "PriorityClass", "NodePool", "EC2NodeClass", "CustomResourceDefinition")


def spec(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


def workload(**fields: Any) -> dict[str, Any]:
    return spec(selector={"matchLabels": LABELS}, template=TEMPLATE, **fields)


def route(blue: int) -> dict[str, Any]:
    backends = [
        {"name": "assistant-blue", "port": 80, "weight": blue},
        {"name": "assistant-green", "port": 80, "weight": 100 - blue},
    ]
    return spec(parentRefs=[{"name": "edge"}], rules=[{"backendRefs": backends}])


def scaled(low: int) -> dict[str, Any]:
    trigger = {"type": "prometheus", "metadata": {"serverAddress": "http://p:9090", "query": "up", "threshold": "5"}}
    return spec(scaleTargetRef={"name": "assistant"}, minReplicaCount=low, maxReplicaCount=9, triggers=[trigger])


def autoscaler(low: int) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "assistant"}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
    return spec(scaleTargetRef=target, minReplicas=low, maxReplicas=9, metrics=[metric])


def node_pool(cpu: str, kind: str = "g") -> dict[str, Any]:
    requirement = {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": [kind]}
    node_class = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "{ns}-thing"}
    return spec(limits={"cpu": cpu}, template={"spec": {"requirements": [requirement], "nodeClassRef": node_class}})


def node_class(owner: str) -> dict[str, Any]:
    terms = [{"tags": {"karpenter.sh/discovery": "{ns}"}}]
    return spec(role="node", amiSelectorTerms=[{"alias": "al2023@latest"}], subnetSelectorTerms=terms,
                securityGroupSelectorTerms=terms, tags={"owner": owner})  # fmt: skip


def secret_store(region: str) -> dict[str, Any]:
    return spec(provider={"aws": {"service": "SecretsManager", "region": region}})


def external_secret(every: str) -> dict[str, Any]:
    data = [{"secretKey": "token", "remoteRef": {"key": "assistant/token"}}]
    return spec(refreshInterval=every, secretStoreRef={"name": "thing", "kind": "SecretStore"}, target={"name": "t"}, data=data)


def leader_worker(replicas: int) -> dict[str, Any]:
    return spec(replicas=replicas, leaderWorkerTemplate={"size": 2, "workerTemplate": TEMPLATE})


def cron(schedule: str) -> dict[str, Any]:
    pod = {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
    return spec(schedule=schedule, jobTemplate=spec(template=pod))


def rule(*verbs: str) -> dict[str, Any]:
    return {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": list(verbs)}]}


def binding(role: str, account: str) -> dict[str, Any]:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
    return {"roleRef": reference, "subjects": [{"kind": "ServiceAccount", "name": account}]}


def bound(port: int) -> dict[str, Any]:
    group = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/blue/0123456789abcdef"
    return spec(targetGroupARN=group, targetType="ip", serviceRef={"name": "assistant-blue", "port": port})


def gateway(port: int) -> dict[str, Any]:
    return spec(gatewayClassName="envoy", listeners=[{"name": "http", "protocol": "HTTP", "port": port}])


SECRET = {"stringData": {"k": "planted-secret"}}
OTHER_SELECTOR = {"selector": {"matchLabels": {"v": "2"}}, "template": {**TEMPLATE, "metadata": {"labels": {"v": "2"}}}}
HTTP, METRICS = {"name": "http", "port": 80, "targetPort": "http"}, {"name": "metrics", "port": 81}
CASES = [
    Case("kubernetes:core/v1:Namespace", {}, {}, {"metadata": {"labels": {"theirs": "yes"}}}, meddled=""),
    Case(
        "kubernetes:core/v1:ConfigMap",
        {"data": {"a": "1"}, "immutable": False},
        {"data": {"a": "1"}},
        {"data": {"a": "theirs"}},
        "data",
        replace={"data": {"a": "2"}},
    ),
    Case(
        "kubernetes:core/v1:Secret",
        SECRET,
        {**SECRET, "immutable": False},
        {"data": {"k": "dGhlaXJz"}},
        "stringData",
        replace={"stringData": {"k": "another-secret"}},
    ),
    Case(
        "kubernetes:core/v1:Service",
        spec(selector=LABELS, ports=[HTTP]),
        spec(selector=LABELS, ports=[HTTP, METRICS]),
        spec(selector={"app.kubernetes.io/name": "other"}),
        annotations=SKIP,
    ),
    Case(
        "kubernetes:core/v1:ServiceAccount",
        {"automountServiceAccountToken": True},
        {"automountServiceAccountToken": False},
        {"automountServiceAccountToken": True},
        "automountServiceAccountToken",
    ),
    Case(
        "kubernetes:apps/v1:Deployment",
        workload(replicas=1),
        workload(replicas=2),
        spec(replicas=3),
        replace=spec(replicas=1, **OTHER_SELECTOR),
    ),
    Case(
        "kubernetes:apps/v1:StatefulSet",
        workload(replicas=1, serviceName="a"),
        workload(replicas=2, serviceName="a"),
        spec(replicas=3),
        replace=workload(replicas=1, serviceName="b"),
    ),
    Case("kubernetes:apps/v1:DaemonSet", workload(minReadySeconds=0), workload(minReadySeconds=1), spec(minReadySeconds=9)),
    Case(
        "kubernetes:policy/v1:PodDisruptionBudget",
        spec(selector={"matchLabels": LABELS}, minAvailable=1),
        spec(selector={"matchLabels": LABELS}, minAvailable="50%"),
        spec(minAvailable=7),
    ),
    Case(
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        spec(podSelector={}, policyTypes=["Ingress"]),
        spec(podSelector={}, policyTypes=["Ingress", "Egress"]),
        spec(policyTypes=["Egress"]),
    ),
    Case("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", autoscaler(1), autoscaler(2), spec(minReplicas=5)),
    Case(
        "kubernetes:scheduling.k8s.io/v1:PriorityClass",
        {"value": 1000, "description": "a"},
        {"value": 1000, "description": "b"},
        {"description": "theirs"},
        "description",
    ),
    Case("kubernetes:batch/v1:CronJob", cron("0 3 * * *"), cron("0 4 * * *"), spec(schedule="1 1 * * *")),
    Case("kubernetes:rbac.authorization.k8s.io/v1:Role", rule("get"), rule("get", "list"), rule("delete"), "rules"),
    Case(
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
        binding("a", "s"),
        binding("a", "t"),
        {"subjects": [{"kind": "ServiceAccount", "name": "theirs"}]},
        "subjects",
        replace=binding("b", "s"),
    ),
    Case("kubernetes:gateway.networking.k8s.io/v1:Gateway", gateway(80), gateway(8080), spec(gatewayClassName="theirs")),
    Case("kubernetes:gateway.networking.k8s.io/v1:HTTPRoute", route(100), route(0), route(50)),
    Case("kubernetes:keda.sh/v1alpha1:ScaledObject", scaled(1), scaled(2), spec(minReplicaCount=7)),
    Case(
        "kubernetes:keda.sh/v1alpha1:TriggerAuthentication",
        spec(podIdentity={"provider": "aws"}),
        spec(podIdentity={"provider": "aws", "identityOwner": "workload"}),
        spec(podIdentity={"provider": "none"}),
    ),
    Case(
        "kubernetes:external-secrets.io/v1:SecretStore",
        secret_store("eu-west-1"),
        secret_store("eu-west-2"),
        spec(provider={"aws": {"region": "us-east-1"}}),
    ),
    Case(
        "kubernetes:external-secrets.io/v1:ExternalSecret",
        external_secret("1h"),
        external_secret("60m"),
        spec(refreshInterval="9h"),
    ),
    Case("kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet", leader_worker(1), leader_worker(2), spec(replicas=5)),
    Case("kubernetes:karpenter.sh/v1:NodePool", node_pool("100"), node_pool("200"), spec(limits={"cpu": "900"})),
    Case("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass", node_class("us"), node_class("them"), spec(tags={"owner": "theirs"})),
    Case(
        "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding",
        bound(80),
        bound(8080),
        spec(serviceRef={"name": "theirs", "port": 80}),
    ),
]
