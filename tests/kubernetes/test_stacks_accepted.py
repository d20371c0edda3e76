"""Every object of every stack on Kubernetes is accepted by a real API server: strict field validation, CRD schemas, CEL."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from turnout_components.release import parse

from tests.kubernetes.conftest import Cluster
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


def objects(stack: str, namespace: str, **more: Any) -> list[Object]:
    """What the stack's program registers, planned offline, in this namespace; both environments have a release."""
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
    nothing = StackStore(Path(os.devnull), project.name, stack, Secrets("", lambda: [], lambda salt: None))
    said: list[dict[str, Any]] = []
    deployment = Deployment(nothing, registry(), said.append, str(ROOT), config, [], refresh_first=False)
    nowhere = {"TURNOUT_LOCAL_ENDPOINT": "http://127.0.0.1:9", "TURNOUT_LOCAL_KUBECONFIG": os.devnull, "TURNOUT_OFFLINE": "1"}
    state = Snapshot()
    result = deployment.plan(LocalProgram(project.main, project.root, nowhere), state, StandIns("us-east-1"))
    assert result.exit_code == 0, said
    found = [one for one in state.resources if one.type.startswith("kubernetes:")]
    return [json_format.MessageToDict(to_struct(one.inputs)) for one in found]


@pytest.mark.parametrize("more", [{}, MORE], ids=["as it is", "with more"])
@pytest.mark.parametrize("stack", STACKS)
def test_every_object_of_a_stack_is_accepted(cluster: Cluster, namespace: str, stack: str, more: dict[str, Any]) -> None:
    api = Strict(cluster.kubeconfig)
    found = objects(stack, namespace, **more)
    assert {"Namespace", "Service", "NetworkPolicy", "Deployment"} <= {one["kind"] for one in found}
    refused = []
    for one in found:
        try:
            api.apply(one, dry_run=True)
        except ProviderError as error:
            refused.append(f"{one['kind']} {one['metadata']['name']}: {error}")
    assert refused == []


def test_an_object_with_a_field_that_there_is_not_is_refused(cluster: Cluster, namespace: str) -> None:
    route = next(one for one in objects("local-kubernetes", namespace) if one["kind"] == "HTTPRoute")
    route["spec"]["rules"][0]["backendRefs"][0]["wieght"] = 100
    with pytest.raises(ProviderError, match="wieght"):
        Strict(cluster.kubeconfig).apply(route, dry_run=True)
