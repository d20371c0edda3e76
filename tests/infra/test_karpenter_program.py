"""The program of a stack on EKS with Karpenter's nodes, against recorded registrations: pool, queue, rights, room, pods."""

import json
import runpy
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from recording import Recording, record

ROOT = Path(__file__).parents[2]
NAME = "assistant-staging"
LOCAL = {"TURNOUT_LOCAL_ENDPOINT": "http://127.0.0.1:9", "TURNOUT_LOCAL_KUBECONFIG": "nothing: is asked"}


def config(stack: str = "staging-eks") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]
    return found


def run(monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]) -> Recording:
    """What a stack of this config registers without any call."""
    monkeypatch.setenv("TURNOUT_OFFLINE", "1")
    monkeypatch.setattr(pulumi, "get_root_directory", lambda: str(ROOT))
    pulumi.runtime.set_all_config({k: v if isinstance(v, str) else json.dumps(v) for k, v in said.items()})

    def program() -> dict[str, Any]:
        outputs = runpy.run_path(str(ROOT / "infra"))["outputs"]
        return {key: value for key, value in outputs.items() if key in ("cluster", "interruption_queue")}

    try:
        return record(program)
    finally:
        pulumi.runtime.set_all_config({})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Recording:
    """What the staging stack on EKS registers."""
    return run(monkeypatch, config())


def selector(made: Recording, name: str) -> Any:
    return made.one(":Deployment", name).inputs["spec"]["template"]["spec"].get("nodeSelector")


def test_the_pool_is_what_the_stack_says_and_stands_in_its_network(made: Recording) -> None:
    pool, nodes = made.one(":NodePool").inputs, made.one(":EC2NodeClass").inputs["spec"]
    assert pool["metadata"]["name"] == NAME
    assert pool["spec"]["limits"] == {"nvidia.com/gpu": "9"}
    needs = {one["key"]: one["values"] for one in pool["spec"]["template"]["spec"]["requirements"]}
    assert needs == {
        "node.kubernetes.io/instance-type": ["g6e.2xlarge", "g6e.4xlarge"],
        "karpenter.sh/capacity-type": ["spot", "on-demand"],
    }
    assert pool["spec"]["disruption"]["consolidateAfter"] == "30m"
    private = [one.name for one in made.all("ec2/subnet:Subnet") if "-private-" in one.name]
    assert [one["id"] for one in nodes["subnetSelectorTerms"]] == [f"{name}-id" for name in private]
    assert len(nodes["securityGroupSelectorTerms"]) == 1
    assert [disk["ebs"]["volumeSize"] for disk in nodes["blockDeviceMappings"]] == ["200Gi"]


def test_the_only_node_group_is_of_the_clusters_system_pods(made: Recording) -> None:
    (group,) = made.all(":NodeGroup")
    assert group.inputs["labels"] == {"turnout.dev/pool": "system"}


def test_both_environments_pods_are_let_onto_this_pools_nodes_and_no_others(made: Recording) -> None:
    (taint,) = made.one(":NodePool").inputs["spec"]["template"]["spec"]["taints"]
    for name in ("blue", "green"):
        assert selector(made, f"-{name}-workload") == {"karpenter.sh/nodepool": NAME}
        (tolerated,) = made.one(":Deployment", f"-{name}-workload").inputs["spec"]["template"]["spec"]["tolerations"]
        assert (tolerated["key"], tolerated["effect"]) == (taint["key"], taint["effect"])
        assert f"{NAME}-gpus-pool" in made.one(":Deployment", f"-{name}-workload").dependencies, "pods go before their nodes do"


def test_labels_that_pods_select_besides_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    said = config()
    said["turnout:kubernetes"]["pods"]["node_selector"] = {"topology.kubernetes.io/zone": "us-east-1a"}
    made = run(monkeypatch, said)
    wanted = {"karpenter.sh/nodepool": NAME, "topology.kubernetes.io/zone": "us-east-1a"}
    assert [selector(made, name) for name in ("-blue-workload", "-room-pods")] == [wanted, wanted]


def test_room_is_kept_for_a_pod_as_large_as_the_services_on_the_same_nodes(made: Recording) -> None:
    room = made.one(":Deployment", "-room-pods").inputs
    assert (room["metadata"]["namespace"], room["spec"]["replicas"]) == (NAME, 1)
    (held,) = room["spec"]["template"]["spec"]["containers"]
    (server,) = made.one(":Deployment", "-blue-workload").inputs["spec"]["template"]["spec"]["containers"]
    for one in ("cpu", "memory", "nvidia.com/gpu"):
        assert held["resources"]["requests"][one] == server["resources"]["requests"][one]
    assert selector(made, "-room-pods") == selector(made, "-blue-workload")
    assert made.one(":PriorityClass").inputs["value"] < 0
    order = [one.name for one in made.registrations]
    assert max(map(order.index, (f"{NAME}-namespace", f"{NAME}-gpus-pool"))) < order.index(f"{NAME}-room-priority")


def test_no_room_is_kept_where_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    said = config()
    del said["turnout:cluster"]["karpenter"]["placeholder"]
    assert run(monkeypatch, said).all(":PriorityClass") == []


def test_nodes_join_by_an_entry_of_their_role_which_the_controller_may_pass_on(made: Recording) -> None:
    (entry,) = (one.inputs for one in made.all(":AccessEntry") if one.inputs.get("type") == "EC2_LINUX")
    rights = {
        one.name: one.inputs for one in made.all("iam/rolePolicy:RolePolicy") if one.inputs["role"] == "karpenter-staging"
    }
    (passes,) = json.loads(rights[f"{NAME}-gpus-pass"]["policy"])["Statement"]
    assert (passes["Action"], passes["Resource"]) == ("iam:PassRole", entry["principalArn"])
    assert "ec2.amazonaws.com" in passes["Condition"]["StringEquals"]["iam:PassedToService"]
    assert "gpus-node-role" in entry["principalArn"]
    assert f"{NAME}-gpus-pass" in made.one(":EC2NodeClass").dependencies
    (reads,) = json.loads(rights[f"{NAME}-interruptions-controller"]["policy"])["Statement"]
    assert reads["Resource"].endswith(f":{NAME}-interruptions-queue")
    assert set(rights) == {f"{NAME}-gpus-pass", f"{NAME}-interruptions-controller"}


def test_the_queue_of_a_new_cluster_is_told_to_who_installs_the_controller(made: Recording) -> None:
    assert len(made.all("cloudwatch/eventRule:EventRule")) == 4
    assert made.outputs["interruption_queue"].startswith(f"{NAME}-interruptions-queue")


def test_a_cluster_that_exists_has_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    said = config()
    said["turnout:cluster"] = {"name": "models", "karpenter": said["turnout:cluster"]["karpenter"]}
    made = run(monkeypatch, said)
    assert [len(made.all(kind)) for kind in (":NodePool", ":EC2NodeClass", "sqs/queue:Queue", ":NodeGroup")] == [1, 1, 0, 0]
    assert "interruption_queue" not in made.outputs
    assert made.one(":AccessEntry").inputs["clusterName"] == "models"


def test_on_this_machine_pods_take_the_local_clusters_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in LOCAL.items():
        monkeypatch.setenv(variable, value)
    made = run(monkeypatch, {**config(), "turnout:cloud": "local"})
    assert made.one(":NodePool").inputs["metadata"]["name"] == NAME
    assert [selector(made, name) for name in ("-blue-workload", "-room-pods")] == [None, None]


def test_a_stack_with_a_managed_node_group_has_none_of_this(monkeypatch: pytest.MonkeyPatch) -> None:
    made = run(monkeypatch, config("prod-eks"))
    kinds = (":NodePool", ":EC2NodeClass", ":PriorityClass", "sqs/queue:Queue", "cloudwatch/eventRule:EventRule")
    assert [made.all(kind) for kind in kinds] == [[]] * len(kinds)
    assert {one.name for one in made.all(":NodeGroup")} == {"assistant-gpus-group", "assistant-cluster-system"}
    assert selector(made, "-blue-workload") is None
