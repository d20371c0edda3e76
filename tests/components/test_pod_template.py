"""A release's pods: what their containers find, may do, and when they count as ready, alive and ended."""

import json
from pathlib import Path
from typing import Any

import pytest
from component_args import DIGEST, SHA, manifest
from pod_args import FETCHER, in_image, pods
from turnout_components import pod_rules, pod_template
from turnout_components.kubernetes_names import MANIFEST_ANNOTATION
from turnout_components.release import parse

Template = dict[str, Any]
EXAMPLES = Path(__file__).parents[2] / "examples"


def server(release: dict[str, Any] | None = None, **changes: Any) -> Template:
    return pod_template.server(pods(**changes), release or manifest())


def worker(**changes: Any) -> Template:
    return pod_template.worker(pods(nodes_per_replica=4, **changes), manifest())


def container(template: Template) -> dict[str, Any]:
    (found,) = template["spec"]["containers"]
    return dict(found)


def variables(template: Template) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(template)["env"] if "value" in one}


def volume(template: Template, name: str) -> dict[str, Any]:
    (found,) = (one for one in template["spec"]["volumes"] if one["name"] == name)
    return {key: value for key, value in found.items() if key != "name"}


def test_pods_say_whose_and_of_which_release_they_are() -> None:
    metadata = server()["metadata"]
    assert metadata["labels"] == {
        "app.kubernetes.io/name": "assistant",
        "turnout.dev/environment": "green",
        "turnout.dev/release": DIGEST[7:23],
        "app.kubernetes.io/component": "server",
    }
    assert json.loads(metadata["annotations"][MANIFEST_ANNOTATION]) == manifest()


def test_a_server_finds_what_it_finds_on_a_node() -> None:
    found = variables(server(port=9000))
    assert found["PORT"] == "9000"
    assert found["TURNOUT_RELEASE_DIGEST"] == DIGEST
    assert found["TURNOUT_MODEL"] == "/model/1.0.0"
    folder, _, file = found["TURNOUT_RELEASE"].rpartition("/")
    (mount,) = (one for one in container(server())["volumeMounts"] if one["name"] == "release")
    assert mount["mountPath"] == folder
    (item,) = volume(server(), "release")["downwardAPI"]["items"]
    assert item == {"path": file, "fieldRef": {"fieldPath": f"metadata.annotations['{MANIFEST_ANNOTATION}']"}}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/releases/*.yaml")), ids=lambda path: path.stem)
def test_a_release_runs_here_as_it_does_on_ec2(path: Path) -> None:
    """What a node gives its container (node_scripts.environment), a pod gives it too."""
    release = parse(path).for_storage()
    assert pod_rules.faults(pods(), release) == []
    found = container(server(release))
    assert found["image"] == release["image"]
    assert found.get("args", []) == release["engine"]["flags"]
    assert json.loads(server(release)["metadata"]["annotations"][MANIFEST_ANNOTATION]) == release


def test_a_model_of_many_files_is_named_by_its_folder() -> None:
    model = {**manifest()["model"], "uri": "s3://models/llm/1.0.0/"}
    assert variables(server(manifest(model=model)))["TURNOUT_MODEL"] == "/model"


def test_the_releases_variables_come_before_ours_only_where_they_are_not_the_nodes() -> None:
    release = manifest(engine={"name": "vllm", "flags": [], "env": {"HOME": "/cache", "PORT": "1", "NCCL_DEBUG": "WARN"}})
    found = variables(server(release))
    assert (found["HOME"], found["PORT"], found["NCCL_DEBUG"]) == ("/cache", "8000", "WARN")


def test_secrets_are_references_and_take_the_place_of_a_variable_of_that_name() -> None:
    release = manifest(engine={"name": "vllm", "flags": [], "env": {"HF_TOKEN": "none"}})
    template = server(release, secret_name="green", secret_keys=["HF_TOKEN"])
    (found,) = (one for one in container(template)["env"] if one["name"] == "HF_TOKEN")
    assert found == {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "green", "key": "HF_TOKEN"}}}


def test_a_model_in_the_image_is_neither_fetched_nor_mounted() -> None:
    template = server(in_image())
    assert "initContainers" not in template["spec"]
    assert "TURNOUT_MODEL" not in variables(template)
    assert [one["name"] for one in template["spec"]["volumes"]] == ["release", "scratch", "shm"]


def test_a_model_elsewhere_is_fetched_before_the_server_starts_and_lies_under_its_hash() -> None:
    template = server(fetch_secret_name="minio")
    (fetch,) = template["spec"]["initContainers"]
    given = {one["name"]: one["value"] for one in fetch["env"]}
    assert fetch["image"] == FETCHER
    assert given["MODEL_URI"] == "s3://models/llm/1.0.0"
    assert f"sha256:{given['MODEL_SHA256']}" == SHA
    assert fetch["envFrom"] == [{"secretRef": {"name": "minio"}}]
    (own,) = (one for one in fetch["volumeMounts"] if one["name"] == "models")
    assert own["mountPath"] == given["MODELS"]
    (mount,) = (one for one in container(template)["volumeMounts"] if one["name"] == "models")
    assert mount == {"name": "models", "mountPath": "/model", "subPath": given["MODEL_SHA256"], "readOnly": True}


def test_kubernetes_leaves_the_fetchs_script_as_it_is() -> None:
    """A command's `$$` is a dollar and its `$(NAME)` a variable ("Define Dependent Environment Variables", Kubernetes)."""
    script = server()["spec"]["initContainers"][0]["command"][2]
    assert "$$" not in script
    assert not any(f"$({name})" in script for name in ("HOME", "MODELS", "MODEL_SHA256", "MODEL_URI"))


def test_the_cache_is_a_disk_of_the_nodes_a_volume_of_the_pods_or_one_that_pods_share() -> None:
    assert volume(server(), "models") == {"emptyDir": {"sizeLimit": "100Gi"}}
    assert volume(server(cache={"size_gib": 30}), "models") == {"emptyDir": {"sizeLimit": "30Gi"}}
    assert volume(server(cache={"claim_name": "models"}), "models") == {"persistentVolumeClaim": {"claimName": "models"}}
    own = volume(server(cache={"storage_class": "nvme", "size_gib": 30}), "models")
    spec = own["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (spec["storageClassName"], spec["resources"]["requests"]["storage"]) == ("nvme", "30Gi")


def test_room_for_the_model_is_asked_of_the_node_where_it_lies_there() -> None:
    def asked(template: Template) -> Any:
        return container(template)["resources"]["requests"].get("ephemeral-storage")

    assert asked(server(cache={"size_gib": 30})) == "30Gi"
    assert asked(server(cache={"claim_name": "models"})) is None
    assert asked(server(in_image())) is None


def test_gpus_and_memory_are_asked_for_as_they_are_limited_and_cpus_have_no_limit() -> None:
    found = container(server(gpus=4, cpus=1.5, memory_gib=64, efa=1, gpu_resource="nvidia.com/mig-1g.10gb"))["resources"]
    assert found["limits"] == {
        "memory": "64Gi",
        "nvidia.com/mig-1g.10gb": "4",
        "vpc.amazonaws.com/efa": "1",
        "hugepages-2Mi": "5120Mi",
    }
    assert {key: found["requests"][key] for key in found["limits"]} == found["limits"]
    assert found["requests"]["cpu"] == "1.5"
    assert volume(server(shm_gib=2), "shm") == {"emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
    assert not any("gpu" in key for key in container(server(gpus=0))["resources"]["limits"])


@pytest.mark.parametrize("template", [server(), server(in_image()), worker()])
def test_every_container_is_one_of_the_restricted_level_and_writes_to_volumes_only(template: Template) -> None:
    spec = template["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 1000
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in [*spec["containers"], *spec.get("initContainers", [])]:
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert variables({"spec": {"containers": [one]}})["HOME"] in {mount["mountPath"] for mount in one["volumeMounts"]}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert not any(key in spec for key in ("hostNetwork", "hostPID", "hostIPC"))


def test_loading_may_take_as_long_as_a_launch_and_readiness_asks_for_this_release() -> None:
    found = container(server(launch_timeout=601, health_path="/healthz"))
    startup, readiness = found["startupProbe"], found["readinessProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 605
    assert readiness["httpGet"] == startup["httpGet"] == {"path": f"/healthz?release={DIGEST}", "port": "http"}
    assert readiness["periodSeconds"] * readiness["failureThreshold"] <= 15


def test_liveness_never_asks_what_an_overloaded_server_is_late_with() -> None:
    alive = container(server())["livenessProbe"]
    assert alive["tcpSocket"] == {"port": "http"}
    assert "httpGet" not in alive
    assert alive["periodSeconds"] * alive["failureThreshold"] >= 300
    assert container(server(liveness_path="/ping"))["livenessProbe"]["httpGet"]["path"] == "/ping"


def test_a_server_is_told_to_stop_when_routes_have_let_go_and_has_its_whole_drain_then() -> None:
    template = server(let_go=25, drain=900)
    assert container(template)["lifecycle"] == {"preStop": {"sleep": {"seconds": 25}}}
    assert template["spec"]["terminationGracePeriodSeconds"] > 25 + 900


def test_vllm_is_told_how_long_it_drains_unless_the_release_says_so() -> None:
    def flags(release: dict[str, Any], **changes: Any) -> Any:
        return container(server(release, drain=90, **changes)).get("args")

    assert flags(manifest()) == ["--max-model-len=8192", "--shutdown-timeout=90"]
    own = manifest(engine={"name": "vllm", "flags": ["--shutdown-timeout", "30"]})
    assert flags(own) == ["--shutdown-timeout", "30"]
    assert flags(manifest(), shutdown_flag=False) == ["--max-model-len=8192"]
    assert flags(in_image()) is None


def test_pods_go_where_gpus_are_and_spread_evenly_over_zones_and_hosts() -> None:
    spec = server(node_selector={"turnout.dev/pool": "l4"}, priority_class="serving", runtime_class="nvidia")["spec"]
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert spec["nodeSelector"] == {"turnout.dev/pool": "l4"}
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("serving", "nvidia")
    labels = server()["metadata"]["labels"]
    assert [(one["topologyKey"], one["maxSkew"]) for one in spec["topologySpreadConstraints"]] == [
        ("topology.kubernetes.io/zone", 1),
        ("kubernetes.io/hostname", 1),
    ]
    assert all(one["labelSelector"]["matchLabels"] == labels for one in spec["topologySpreadConstraints"])
    assert "affinity" not in spec
    assert "nodeSelector" not in server()["spec"]


def test_images_are_pulled_with_the_secrets_that_are_named() -> None:
    assert server(pull_secrets=["registry"])["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_boot_times_of_the_local_cluster_are_an_annotation() -> None:
    assert json.loads(server(boot={"model": 2.5})["metadata"]["annotations"]["turnout.dev/boot"]) == {"model": 2.5}
    assert list(server()["metadata"]["annotations"]) == [MANIFEST_ANNOTATION]


def test_the_nodes_of_a_replica_know_their_place_and_only_the_leader_is_asked() -> None:
    leader = server(nodes_per_replica=4)
    placed = ["--nnodes=4", "--node-rank=0", "--master-addr=$(LWS_LEADER_ADDRESS)"]
    assert container(leader)["args"][-3:] == placed
    found = container(worker())
    assert found["args"][-3:] == ["--node-rank=$(LWS_WORKER_INDEX)", "--master-addr=$(LWS_LEADER_ADDRESS)", "--headless"]
    assert not any(key.endswith("Probe") for key in found)
    assert worker()["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"


def test_a_worker_stays_until_its_leader_has_drained() -> None:
    template = worker(let_go=20, drain=300)
    assert container(template)["lifecycle"] == {"preStop": {"sleep": {"seconds": 320}}}
    assert template["spec"]["terminationGracePeriodSeconds"] >= 320


def test_the_nodes_of_a_replica_stand_in_one_zone() -> None:
    for template in (server(nodes_per_replica=2), worker()):
        (term,) = template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "topology.kubernetes.io/zone"
        assert "leaderworkerset.sigs.k8s.io/group-index" in term["matchLabelKeys"]
        assert term["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert "topologySpreadConstraints" not in worker()["spec"], "it goes where its leader is"
