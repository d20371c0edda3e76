"""What the component registers, with recording mocks, and what it refuses."""

from typing import Any

import pulumi
import pytest
from recording import Recording, record
from turnout_components.capacity_placeholder import CapacityPlaceholder
from turnout_components.capacity_placeholder_rules import faults

IMAGE = "registry.example/pause@sha256:" + "ab" * 32


def arguments(**changes: Any) -> Any:
    given = {"namespace": "assistant", "name": "assistant-room", "replicas": 2, "image": IMAGE, **changes}
    return {name: value for name, value in given.items() if value is not None}


def made(**changes: Any) -> Recording:
    return record(lambda: {"name": CapacityPlaceholder("room", arguments(**changes)).name})


def test_placeholders_are_low_in_priority_leave_at_once_and_take_nobodys_place() -> None:
    found = made(gpus=4, cpus=8, memory_gib=64, node_selector={"pool": "gpu"})
    ranked = found.one(":PriorityClass").inputs
    assert (ranked["value"], ranked["preemptionPolicy"], ranked["globalDefault"]) == (-10, "Never", False)
    spec = found.one(":Deployment").inputs["spec"]
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 2
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert (pod["priorityClassName"], pod["terminationGracePeriodSeconds"]) == (ranked["metadata"]["name"], 0)
    assert pod["nodeSelector"] == {"pool": "gpu"}
    assert found.one(":Deployment").inputs["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    assert pod["containers"][0]["resources"] == {
        "requests": {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "4"},
        "limits": {"memory": "64Gi", "nvidia.com/gpu": "4"},
    }
    assert found.outputs["name"] == "assistant-room"


def test_a_buffer_is_a_template_and_no_pods() -> None:
    found = made(
        by="buffer", image=None, gpu_resource="nvidia.com/mig-1g.10gb", tolerations=[{"key": "spot", "operator": "Exists"}]
    )
    assert not found.all(":Deployment")
    assert not found.all(":PriorityClass")
    template = found.one(":PodTemplate")
    assert found.one(":CapacityBuffer").inputs["spec"] == {
        "provisioningStrategy": "buffer.x-k8s.io/active-capacity",
        "podTemplateRef": {"name": template.inputs["metadata"]["name"]},
        "replicas": 2,
    }
    pod = template.inputs["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == "1"
    assert [each["key"] for each in pod["tolerations"]] == ["nvidia.com/gpu", "spot"]


def test_the_number_may_be_an_output() -> None:
    assert made(replicas=pulumi.Output.from_input(3)).one(":Deployment").inputs["spec"]["replicas"] == 3
    with pytest.raises(ValueError, match="replicas = -1: is no number of places"):
        made(replicas=pulumi.Output.from_input(-1))


def test_what_is_wrong_is_refused_all_at_once() -> None:
    with pytest.raises(ValueError) as error:
        made(name="Room", gpus=0, priority=0)
    assert [line.partition(" = ")[0] for line in str(error.value).splitlines()] == ["name", "gpus", "priority"]


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"namespace": "a_b"}, "namespace", "no name of an object"),
        ({"replicas": -1}, "replicas", "no number of places"),
        ({"cpus": -1}, "cpus", "no amount"),
        ({"by": "warm pool"}, "by", "holds no room"),
        ({"image": None}, "image", "is missing"),
        ({"image": "pause:3"}, "image", "not named by its digest"),
        ({"by": "buffer"}, "image", "run by nobody"),
        ({"by": "buffer", "image": None, "priority": -5}, "priority", "nobody's"),
        ({"priority": 100}, "priority", "would not be preempted"),
        ({"priority": -11}, "priority", "no node is added"),
    ],
)
def test_a_mistake_is_refused(changes: dict[str, Any], field: str, reason: str) -> None:
    found = faults(arguments(**changes))
    assert [(fault.field, reason in fault.reason) for fault in found] == [(field, True)], [str(fault) for fault in found]
