"""Every object of every stack on Kubernetes is accepted by a real API server: strict field validation, CRD schemas, CEL."""

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from turnout_components.release import parse

from tests.kubernetes.conftest import Cluster, fresh_namespace
from tests.kubernetes.rendered import Object, Strict
from tests.layout_rules import ROOT
from turnout.engine.crypto import Secrets
from turnout.engine.deployment import Deployment
from turnout.engine.program import LocalProgram
from turnout.engine.provider import ProviderError
from turnout.engine.state import Snapshot
from turnout.engine.store import StackStore
from turnout.engine.wire import to_struct
from turnout.engine.workspace import StackFile, load_project
from turnout.preview.stand_ins import StandIns
from turnout.providers import registry

STACKS = sorted(
    path.name.split(".")[1]
    for path in (ROOT / "stacks").glob("Pulumi.*.yaml")
    if yaml.safe_load(path.read_text())["config"].get("turnout:platform", "ec2") != "ec2"
)
MORE: dict[str, Any] = {
    "scaling": {"prometheus": {"address": "http://prometheus.monitoring.svc:9090"}},
    "clients": [{"namespace": "edge"}, {"cidr": "10.0.0.0/8"}],
}
"""What no local stack asks for."""
KARPENTER: dict[str, Any] = {
    "capacities": ["reserved", "on-demand", "spot"],
    "reservation_ids": ["cr-0a1b2c3d4e5f60718"],
    "zones": ["us-east-1b"],
    "image": "bottlerocket",
    "instance_store": True,
    "labels": {"team": "ml"},
    "replace_drifted": True,
    "disruptions": "10%",
    "expire_after": "720h",
    "termination_grace": "2h",
    "placeholder": {"replicas": 2, "by": "buffer"},
}
"""What the staging stack does not ask of Karpenter, or not so."""
OWN = {
    ("staging-eks", False): {"NodePool", "EC2NodeClass", "PriorityClass"},
    ("staging-eks", True): {"NodePool", "EC2NodeClass", "PodTemplate", "CapacityBuffer"},
}
"""Kinds that a stack has and others have not, as it is and with more."""


PLANS = [pytest.param(stack, {}, id=f"{stack}-as it is") for stack in STACKS] + [
    pytest.param(stack, MORE, id=f"{stack}-with more", marks=() if stack == "staging-eks" else pytest.mark.slow)
    for stack in STACKS
]
"""By default every stack as it is, and with more the one that has most kinds."""
Planned = Callable[[str, dict[str, Any]], list[Object]]


@pytest.fixture(scope="module")
def planned(cluster: Cluster) -> Iterator[Planned]:
    """A stack's objects, planned once, in a namespace in which nothing is kept."""
    with fresh_namespace(cluster) as namespace:
        known: dict[str, list[Object]] = {}

        def of(stack: str, more: dict[str, Any]) -> list[Object]:
            key = json.dumps([stack, more])
            if key not in known:
                known[key] = objects(stack, namespace, **more)
            return copy.deepcopy(known[key])

        yield of


def objects(stack: str, namespace: str, **more: Any) -> list[Object]:
    """What the stack's program registers, planned offline, in this namespace; both environments have a release. With `more`
    Karpenter's nodes are other ones too."""
    project = load_project(ROOT)
    config = {key: value.text for key, value in StackFile(project.stack_file(stack), project).masked().items()}
    kubernetes = json.loads(config.get("turnout:kubernetes", "{}"))
    environments = json.loads(config["turnout:environments"])
    folder = ROOT / config["turnout:releases"]
    release = next(found["release"] for found in environments.values() if found["release"])
    others = [one.id for path in sorted(folder.glob("*.yaml")) if (one := parse(path)).id != release]
    environments = {name: {"release": found["release"] or others[0]} for name, found in environments.items()}
    config |= {
        "turnout:kubernetes": json.dumps({**kubernetes, "namespace": namespace, **more}),
        "turnout:environments": json.dumps(environments),
    }
    cluster = json.loads(config.get("turnout:cluster", "{}"))
    if more and "karpenter" in cluster:
        config["turnout:cluster"] = json.dumps({**cluster, "karpenter": {**cluster["karpenter"], **KARPENTER}})
    nothing = StackStore(Path(os.devnull), project.name, stack, Secrets("", lambda: [], lambda salt: None))
    said: list[dict[str, Any]] = []
    deployment = Deployment(nothing, registry(), said.append, str(ROOT), config, [], refresh_first=False)
    nowhere = {"TURNOUT_LOCAL_ENDPOINT": "http://127.0.0.1:9", "TURNOUT_LOCAL_KUBECONFIG": os.devnull, "TURNOUT_OFFLINE": "1"}
    state = Snapshot()
    result = deployment.plan(LocalProgram(project.main, project.root, nowhere), state, StandIns("us-east-1"))
    assert result.exit_code == 0, said
    found = [one for one in state.resources if one.type.startswith("kubernetes:")]
    return [_with_ids(json_format.MessageToDict(to_struct(one.inputs))) for one in found]


def _with_ids(one: Object) -> Object:
    """With ids in the form that a definition demands, where only a cloud knows them."""
    if one["kind"] == "EC2NodeClass":
        one["spec"]["subnetSelectorTerms"] = [{"id": "subnet-0a1b2c3d"} for _ in one["spec"]["subnetSelectorTerms"]]
        one["spec"]["securityGroupSelectorTerms"] = [{"id": "sg-0a1b2c3d"} for _ in one["spec"]["securityGroupSelectorTerms"]]
    return one


@pytest.mark.parametrize(("stack", "more"), PLANS)
def test_every_object_of_a_stack_is_accepted(cluster: Cluster, planned: Planned, stack: str, more: dict[str, Any]) -> None:
    api = Strict(cluster.kubeconfig)
    found = planned(stack, more)
    wanted = {"Namespace", "Service", "NetworkPolicy", "Deployment", *OWN.get((stack, bool(more)), ())}
    assert wanted <= {one["kind"] for one in found}
    refused = []
    for one in found:
        try:
            api.apply(one, dry_run=True)
        except ProviderError as error:
            refused.append(f"{one['kind']} {one['metadata']['name']}: {error}")
    assert refused == []


def test_an_object_with_a_field_that_there_is_not_is_refused(cluster: Cluster, planned: Planned) -> None:
    route = next(one for one in planned("local-kubernetes", {}) if one["kind"] == "HTTPRoute")
    route["spec"]["rules"][0]["backendRefs"][0]["wieght"] = 100
    with pytest.raises(ProviderError, match="wieght"):
        Strict(cluster.kubeconfig).apply(route, dry_run=True)
