"""`turnout:cluster` with Karpenter's nodes: what would start none, or none for the pods, is said with field, value and fix."""

import re
from pathlib import Path
from typing import Any

import pytest
from stack_config import fault, faults, read

from infra.config_clusters import Karpenter, Placeholder

FETCHES = {"fetch_image": "docker.io/amazon/aws-cli@sha256:" + "ab" * 32}
PAUSE = "registry.k8s.io/pause@sha256:" + "cd" * 32
KARPENTER: dict[str, Any] = {"gpus_at_most": 8, "controller_role": "karpenter", "instance_types": ["g6e.2xlarge"]}
ON_EKS: dict[str, Any] = {
    "platform": "eks",
    "cloud": "aws",
    "cluster": {"version": "1.34", "karpenter": KARPENTER},
    "kubernetes": {"pods": FETCHES},
    "ingress__allowed_cidrs": [],
}


def changed(**karpenter: Any) -> dict[str, Any]:
    """The sound config with these settings of Karpenter's; None takes one away."""
    said = {key: value for key, value in {**KARPENTER, **karpenter}.items() if value is not None}
    return {**ON_EKS, "cluster": {"version": "1.34", "karpenter": said}}


def test_karpenter_takes_the_place_of_a_managed_node_group(root) -> None:
    cluster = read(root, **ON_EKS).cluster
    assert cluster is not None
    assert (cluster.nodes, cluster.karpenter is not None) == (None, True)


@pytest.mark.parametrize("nodes", [{"maximum": 4}, {}])
def test_both_kinds_of_nodes_are_refused(root, nodes) -> None:
    line = fault(root, **{**ON_EKS, "cluster": {**ON_EKS["cluster"], "nodes": nodes}})
    assert line.startswith("turnout:cluster.karpenter = {")
    assert ": stands beside cluster.nodes; leave one of them out: " in line


def test_a_new_cluster_without_gpu_nodes_is_refused(root) -> None:
    line = fault(root, **{**ON_EKS, "cluster": {"version": "1.34"}})
    assert line.startswith(
        "turnout:cluster.nodes = (nothing): is missing, and so is karpenter: a new cluster has no GPU nodes; "
    )
    assert "write {instance_types: […], maximum: …} of a managed node group, or karpenter: " in line


@pytest.mark.parametrize("more", [{}, {"karpenter": KARPENTER}, {"nodes": {"maximum": 2}}])
def test_a_cluster_that_exists_may_have_nodes_of_its_own_or_be_given_some(root, more) -> None:
    assert read(root, **{**ON_EKS, "cluster": {"name": "models", **more}})


REFUSED = [
    ({"gpus_at_most": None}, "gpus_at_most = (nothing): is missing; write the most GPUs of all nodes together"),
    ({"gpus_at_most": 0}, "gpus_at_most = 0: lets no node start; write a whole number from 1"),
    ({"gpus_at_most": "many"}, 'gpus_at_most = "many": input should be a valid integer'),
    ({"controller_role": None}, "controller_role = (nothing): is missing; write the name of the IAM role of Karpenter's"),
    ({"controller_role": "arn:aws:iam::123456789012:role/karpenter"}, "controller_role = "),
    ({"instance_types": ["m7i.large"]}, 'instance_types = "m7i.large": has no GPU; choose one of '),
    ({"instance_types": []}, "instance_types = []: tuple should have at least 1 item"),
    ({"instance_type": "g5.xlarge"}, 'instance_type = "g5.xlarge": is no setting; did you mean instance_types?'),
    ({"capacities": ["on_demand"]}, 'capacities = "on_demand": is no capacity type; write reserved, on-demand, spot'),
    ({"capacities": ["reserved"]}, "reservation_ids = []: go with the capacity reserved, and it with them; give"),
    ({"zones": ["us-east-1c"]}, 'zones = "us-east-1c": is none of network.zones; name some of us-east-1a, us-east-1b'),
    ({"image": "ubuntu"}, 'image = "ubuntu": is not known; write al2023 or bottlerocket'),
    ({"disk_gib": 8}, "disk_gib = 8: holds no image of a GPU server; write 30 or more"),
    ({"empty_for": "soon"}, 'empty_for = "soon": is no duration; write one such as 720h or 90m'),
    ({"expire_after": "720h"}, "termination_grace = (nothing): is missing: pods that must stay would hold an expired node"),
    ({"disruptions": "some"}, 'disruptions = "some": is no count and no percentage of nodes; write one such as 1 or 10%'),
    ({"weight": 10}, "weight = 10: is no setting; "),
    ({"placeholder": {"replicas": 1}}, "placeholder.image = (nothing): is missing, and pods must run something; write"),
    ({"placeholder": {"replicas": 1, "image": "pause:3.10"}}, 'placeholder.image = "pause:3.10": is not named by its digest'),
    ({"placeholder": {"replicas": 0, "image": PAUSE}}, "placeholder.replicas = 0: input should be greater than or equal to 1"),
    ({"placeholder": {"replicas": 1, "by": "nodes", "image": PAUSE}}, 'placeholder.by = "nodes": holds no room; write pods or'),
    ({"placeholder": {"replicas": 1, "by": "buffer", "image": PAUSE}}, "placeholder.image = "),
]


@pytest.mark.parametrize(("karpenter", "line"), REFUSED)
def test_what_karpenter_would_not_do_is_refused(root, karpenter, line) -> None:
    assert fault(root, **changed(**karpenter)).startswith(f"turnout:cluster.karpenter.{line}")


def test_a_node_that_goes_leaves_the_longest_answer_its_time(root) -> None:
    aged = changed(expire_after="720h", termination_grace="10m")
    line = fault(root, **aged, health__drain=900)
    assert line.startswith(
        'turnout:cluster.karpenter.termination_grace = "10m": cuts off what may take 900 s; write 900s or more'
    )
    assert read(root, **aged, health__drain=600)


def test_a_pod_that_no_type_holds_is_refused(root) -> None:
    def pods(gpus: int, **more: str) -> dict[str, Any]:
        return {"kubernetes": {"pods": {**FETCHES, "gpus": gpus, **more}}}

    types = ["g6e.2xlarge", "g6e.12xlarge"]
    line = fault(root, **{**changed(instance_types=types), **pods(8)})
    assert line.startswith(
        'turnout:cluster.karpenter.instance_types = ["g6e.2xlarge", "g6e.12xlarge"]: have 4 GPUs at most, and a'
    )
    assert read(root, **{**changed(instance_types=types), **pods(4)})
    assert read(root, **{**changed(instance_types=types), **pods(7, gpu_resource="nvidia.com/mig-1g.10gb")})


def test_a_limit_below_what_the_releases_take_at_least_is_refused(root) -> None:
    few = {**changed(gpus_at_most=3), "pool": {"minimum": 2, "maximum": 2}}
    known = read(root, **few).environments.blue.release
    both = {**few, "environments__green__release": known}
    line = fault(root, **both)
    assert line.startswith("turnout:cluster.karpenter.gpus_at_most = 3: is less than the 4 GPUs of 4 servers, ")
    assert line.endswith("; write 4 or more, or lower pool.minimum")
    assert read(root, **{**both, **changed(gpus_at_most=4)})
    sharded = {**few, "kubernetes": {"pods": {**FETCHES, "nodes_per_replica": 2}}}
    assert "is less than the 4 GPUs of 2 servers" in "\n".join(faults(root, **sharded))


@pytest.mark.parametrize(
    ("selector", "held"),
    [
        ({"tier": "a"}, False),
        ({"example.com/tier": "a"}, False),
        ({"nvidia.com/gpu.present": "false"}, False),
        ({"karpenter.sh/nodepool": "another"}, False),
        ({"nvidia.com/gpu.present": "true"}, True),
        ({"topology.kubernetes.io/zone": "us-east-1a"}, True),
        ({"karpenter.k8s.aws/instance-size": "2xlarge"}, True),
        ({"team": "ml"}, True),
        ({"team": "web"}, False),
    ],
)
def test_pods_that_select_what_no_node_is_called_are_refused(root, selector, held) -> None:
    asked = {**changed(labels={"team": "ml"}), "kubernetes": {"pods": {**FETCHES, "node_selector": selector}}}
    if held:
        assert read(root, **asked)
        return
    ((key, value),) = selector.items()
    line = fault(root, **asked)
    assert line.startswith(f'turnout:kubernetes.pods.node_selector.{key} = "{value}": is on no node of cluster.karpenter; ')


def test_a_placeholder_of_pods_without_gpus_is_refused(root) -> None:
    room = changed(placeholder={"replicas": 1, "image": PAUSE})
    lines = faults(root, **{**room, "kubernetes": {"pods": {**FETCHES, "gpus": 0}}})
    assert [line for line in lines if line.startswith("turnout:kubernetes.pods.gpus = 0: holds no GPU; write 1 or more")]


def test_every_setting_of_karpenters_is_documented() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \|", (Path(__file__).parents[2] / "docs" / "eks.md").read_text(), re.M)
    nested = [f"placeholder.{name}" for name in Placeholder.model_fields]
    assert rows == [*(name for name in Karpenter.model_fields if name != "placeholder"), *nested]
