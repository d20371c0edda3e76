"""What the component registers, with recording mocks, and what it refuses."""

from typing import Any

import pulumi
import pytest
import yaml
from recording import Recording, record
from turnout_components.gpu_support import GpuSupport
from turnout_components.gpu_support_rules import faults

PLUGIN = "registry.example/nvidia/k8s-device-plugin@sha256:" + "ab" * 32
EXPORTER = "registry.example/nvidia/dcgm-exporter:4.2@sha256:" + "cd" * 32


def arguments(**changes: Any) -> Any:
    return {"plugin_image": PLUGIN, "exporter_image": EXPORTER, **changes}


def made(**changes: Any) -> Recording:
    def program() -> dict[str, Any]:
        component = GpuSupport("gpus", arguments(**changes))
        return {"namespace": component.namespace, "service": component.metrics_service}

    return record(program)


def pods(found: Recording, app: str) -> Any:
    return found.one(":DaemonSet", app).inputs["spec"]["template"]["spec"]


def config(found: Recording) -> Any:
    return yaml.safe_load(found.one(":ConfigMap").inputs["data"]["config.yaml"])


def test_two_images_make_plugin_and_exporter_in_a_privileged_namespace_of_their_own() -> None:
    found = made()
    namespace = found.one("v1:Namespace").inputs["metadata"]
    assert (namespace["name"], namespace["labels"]) == ("gpu-support", {"pod-security.kubernetes.io/enforce": "privileged"})
    assert {each.name for each in found.all(":DaemonSet")} == {"gpus-nvidia-device-plugin", "gpus-dcgm-exporter"}
    for daemon in found.all(":DaemonSet"):
        spec = daemon.inputs["spec"]
        assert daemon.inputs["metadata"]["namespace"] == "gpu-support"
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
        assert spec["template"]["spec"]["tolerations"] == [{"operator": "Exists"}]
        assert spec["template"]["spec"]["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
        assert spec["template"]["spec"]["automountServiceAccountToken"] is False
        assert "gpus-namespace" in daemon.dependencies
    assert config(found) == {"version": "v1", "flags": {"migStrategy": "none", "failOnInitError": True}}
    assert found.outputs == {"namespace": "gpu-support", "service": "dcgm-exporter"}


def test_rights_are_the_least_that_the_sockets_of_the_kubelet_take() -> None:
    found = made()
    (plugin,) = pods(found, "plugin")["containers"]
    assert plugin["image"] == PLUGIN
    assert plugin["securityContext"]["allowPrivilegeEscalation"] is False
    assert plugin["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    (exporter,) = pods(found, "exporter")["containers"]
    assert exporter["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_ADMIN"]}
    paths = [
        volume["hostPath"]["path"]
        for app in ("plugin", "exporter")
        for volume in pods(found, app)["volumes"]
        if "hostPath" in volume
    ]
    assert paths == ["/var/lib/kubelet/device-plugins", "/var/lib/kubelet/pod-resources"]
    assert not any("privileged" in each["securityContext"] for each in (plugin, exporter))


def test_metrics_are_served_where_prometheus_finds_them() -> None:
    found = made(interval=30)
    service = found.one(":Service").inputs["spec"]
    template = found.one(":DaemonSet", "exporter").inputs["spec"]["template"]
    assert service["selector"] == template["metadata"]["labels"]
    (port,) = template["spec"]["containers"][0]["ports"]
    assert service["ports"][0]["targetPort"] == port["name"]
    assert {"name": "DCGM_EXPORTER_INTERVAL", "value": "30000"} in template["spec"]["containers"][0]["env"]


def test_time_slices_are_a_setting_of_the_plugin_and_roll_it() -> None:
    sharing = {"kind": "time-slicing", "replicas": 4}
    sliced = made(sharing=sharing)
    assert config(sliced)["sharing"] == {
        "timeSlicing": {"failRequestsGreaterThanOne": True, "resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}
    }

    def digest(found: Recording) -> Any:
        return found.one(":DaemonSet", "plugin").inputs["spec"]["template"]["metadata"]["annotations"]

    assert digest(sliced) != digest(made()) == digest(made())


def test_slices_of_a_mig_profile_may_be_sliced_in_time() -> None:
    found = made(mig_strategy="mixed", sharing={"kind": "time-slicing", "replicas": 2, "resource": "nvidia.com/mig-1g.10gb"})
    assert config(found)["flags"]["migStrategy"] == "mixed"
    (plugin,) = pods(found, "plugin")["containers"]
    assert {"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"} in plugin["env"]
    assert plugin["securityContext"]["capabilities"]["add"] == ["SYS_ADMIN"]


def test_mps_brings_its_daemon() -> None:
    found = made(sharing={"kind": "mps", "replicas": 10})
    assert config(found)["sharing"] == {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 10}]}}
    daemon = pods(found, "nvidia-mps")
    assert daemon["initContainers"][0]["command"] == ["mps-control-daemon", "mount-shm"]
    assert daemon["containers"][0]["securityContext"]["privileged"] is True
    mounted = {mount["name"] for mount in pods(found, "plugin")["containers"][0]["volumeMounts"]}
    assert mounted == {"plugins", "config", "mps", "shm"}
    assert mounted == {volume["name"] for volume in pods(found, "plugin")["volumes"]}


def test_an_image_that_becomes_known_without_a_digest_is_refused() -> None:
    with pytest.raises(ValueError, match="plugin_image = 'plugin:latest': is not named by its digest"):
        made(plugin_image=pulumi.Output.from_input("plugin:latest"))


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"exporter_image": "nvcr.example/dcgm:1"}, "exporter_image", "not named by its digest"),
        ({"namespace": "GPU"}, "namespace", "no name of a namespace"),
        ({"namespace": "kube-system"}, "namespace", "privileged for everything"),
        ({"node_selector": {}}, "node_selector", "every node"),
        ({"interval": 300}, "interval", "last minute"),
        ({"mig_strategy": "all"}, "mig_strategy", "no strategy"),
        ({"sharing": {"kind": "slices", "replicas": 2}}, "sharing.kind", "no way to share"),
        ({"sharing": {"kind": "time-slicing", "replicas": 1}}, "sharing.replicas", "no number of shares"),
        ({"sharing": {"kind": "mps", "replicas": 49}}, "sharing.replicas", "no number of shares"),
        ({"sharing": {"kind": "time-slicing", "replicas": 2, "resource": "cpu"}}, "sharing.resource", "no resource"),
        ({"mig_strategy": "single", "sharing": {"kind": "time-slicing", "replicas": 2}}, "sharing", "MIG divides already"),
        ({"mig_strategy": "mixed", "sharing": {"kind": "time-slicing", "replicas": 2}}, "sharing.resource", "no GPU with MIG"),
        (
            {"mig_strategy": "mixed", "sharing": {"kind": "mps", "replicas": 2, "resource": "nvidia.com/mig-1g.10gb"}},
            "sharing.kind",
            "not had on GPUs with MIG",
        ),
        (
            {"sharing": {"kind": "time-slicing", "replicas": 2, "resource": "nvidia.com/mig-1g.10gb"}},
            "sharing.resource",
            "without a MIG strategy",
        ),
    ],
)
def test_a_contradiction_is_refused(changes: dict[str, Any], field: str, reason: str) -> None:
    found = faults(arguments(**changes))
    assert [(fault.field, reason in fault.reason) for fault in found] == [(field, True)], [str(fault) for fault in found]
