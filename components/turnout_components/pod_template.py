"""The pods of a release: the template that its workload makes them of, from plain values (`pod_rules.with_defaults`).

The container finds what a node's finds (docs/nodes.md): `PORT`, `TURNOUT_RELEASE`, `TURNOUT_RELEASE_DIGEST`, `TURNOUT_MODEL`.
"""

import json
import math
from collections.abc import Mapping
from importlib import resources
from typing import Any

from turnout_components import kubernetes_names as names
from turnout_components import pod_rules
from turnout_components.pod_rules import Pods, Release, is_fetched

GPU_TAINT = "nvidia.com/gpu"
STARTUP_PERIOD = 5
GRACE_SLACK = 15
"""Seconds between the end of the drain and the kill: processes end, logs are written."""
_MODELS, _MODEL, _SCRATCH = "/var/lib/turnout/models", "/model", "/tmp"  # noqa: S108 -- a volume of the pod's own
_RELEASE_FOLDER, _RELEASE_FILE = "/etc/turnout", "release.json"
_LOCKED: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""A container of the restricted level ("Pod Security Standards", Kubernetes), that writes to its volumes only."""
_ZONE, _HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
_LWS = "leaderworkerset.sigs.k8s.io"
_HUGE_PAGES = "5120Mi"
"""What EFA's software takes ("Run machine learning training on Amazon EKS with Elastic Fabric Adapter", Amazon EKS User
Guide)."""


def server(pods: Pods, release: Release) -> dict[str, Any]:
    """The template of pods that answer requests: all of a Deployment, the leaders of a LeaderWorkerSet."""
    template = _template(pods, release, names.SERVER, [*_flags(pods, release), *_rank(pods, "0")])
    container = template["spec"]["containers"][0]
    container |= _probes(pods, release)
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": int(pods["let_go"])}}}
    template["spec"]["topologySpreadConstraints"] = [_spread(pods, release, key) for key in (_ZONE, _HOST)]
    return template


def worker(pods: Pods, release: Release) -> dict[str, Any]:
    """The template of the pods that hold the other parts of a sharded model. They end after their leader has drained."""
    flags = [*_flags(pods, release), *_rank(pods, "$(LWS_WORKER_INDEX)"), "--headless"]
    template = _template(pods, release, names.WORKER, flags)
    seconds = int(pods["let_go"] + pods["drain"])
    template["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": seconds}}}
    return template


def pod_labels(pods: Pods, release: Release, role: str) -> dict[str, str]:
    """The labels by which service, scheduler, network policy and gate know a pod."""
    return {
        **names.environment_labels(pods["service"], pods["environment"]),
        names.RELEASE_LABEL: names.release_label(release["digest"]),
        names.COMPONENT_LABEL: role,
    }


def _template(pods: Pods, release: Release, role: str, flags: list[str]) -> dict[str, Any]:
    annotations = {names.MANIFEST_ANNOTATION: _json(release)}
    if pods.get("boot"):
        annotations[names.BOOT_ANNOTATION] = _json(pods["boot"])
    return {
        "metadata": {"labels": pod_labels(pods, release, role), "annotations": annotations},
        "spec": {
            "serviceAccountName": names.service_name(pods["service"], pods["environment"]),
            "automountServiceAccountToken": False,
            # Variables named for other Services would be taken for settings: vLLM reads VLLM_PORT.
            "enableServiceLinks": False,
            # The kubelet counts the preStop sleep as part of it ("Container Lifecycle Hooks", Kubernetes).
            "terminationGracePeriodSeconds": int(pods["let_go"] + pods["drain"] + GRACE_SLACK),
            "securityContext": _identity(pods),
            "containers": [_server_container(pods, release, flags)],
            "volumes": _volumes(pods, release),
            "tolerations": [{"key": GPU_TAINT, "operator": "Exists", "effect": "NoSchedule"}],
            **({"initContainers": [_fetch(pods, release)]} if is_fetched(release) else {}),
            **({"affinity": _one_zone(pods, release)} if pods["nodes_per_replica"] > 1 else {}),
            **_placement(pods),
        },
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _placement(pods: Pods) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if pods.get("node_selector"):
        found["nodeSelector"] = dict(pods["node_selector"])
    for key, field in (("priority_class", "priorityClassName"), ("runtime_class", "runtimeClassName")):
        if pods.get(key):
            found[field] = pods[key]
    if pods.get("pull_secrets"):
        found["imagePullSecrets"] = [{"name": name} for name in pods["pull_secrets"]]
    return found


def _identity(pods: Pods) -> dict[str, Any]:
    """The pod's part of the restricted level. A number for the user: an image may name root, or a name that the kubelet cannot
    tell from root ("Configure a Security Context for a Pod or Container", Kubernetes)."""
    user = int(pods["user"])
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _server_container(pods: Pods, release: Release, flags: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": "server",
        "image": release["image"],
        "ports": [{"name": "http", "containerPort": int(pods["port"]), "protocol": "TCP"}],
        "env": _environment(pods, release),
        "resources": _resources(pods, release),
        "securityContext": dict(_LOCKED),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "release", "mountPath": _RELEASE_FOLDER, "readOnly": True},
            {"name": "scratch", "mountPath": _SCRATCH},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 -- a volume of the pod's own
            *([_model_mount(release)] if is_fetched(release) else []),
        ],
    }
    if flags:
        found["args"] = flags
    return found


def _model_mount(release: Release) -> dict[str, Any]:
    return {"name": "models", "mountPath": _MODEL, "subPath": _hash(release), "readOnly": True}


def _environment(pods: Pods, release: Release) -> list[dict[str, Any]]:
    """As on a node, and a home that can be written to: the root file system cannot. Secrets by reference only."""
    ours = {
        "PORT": str(int(pods["port"])),
        "TURNOUT_RELEASE": f"{_RELEASE_FOLDER}/{_RELEASE_FILE}",
        "TURNOUT_RELEASE_DIGEST": release["digest"],
    }
    if is_fetched(release):
        uri = str(release["model"]["uri"])
        ours["TURNOUT_MODEL"] = _MODEL if uri.endswith("/") else f"{_MODEL}/{uri.rpartition('/')[2]}"
    # A user of no name makes libraries ask for one: getpass.getuser (Python) takes it from USER.
    values = {"HOME": _SCRATCH, "USER": "turnout", **release["engine"].get("env", {}), **ours}
    plain = [{"name": name, "value": value} for name, value in sorted(values.items())]
    secret = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": pods["secret_name"], "key": key}}}
        for key in sorted(pods.get("secret_keys") or ())
    ]
    return [one for one in plain if one["name"] not in (pods.get("secret_keys") or ())] + secret


def _flags(pods: Pods, release: Release) -> list[str]:
    """The release's, and for vLLM how long it finishes what is in flight: its default is not at all ("Engine Arguments", vLLM:
    `--shutdown-timeout`; since 0.18, vllm #36666)."""
    engine = release["engine"]
    flags = list(engine["flags"])
    if engine["name"] == "vllm" and pods["shutdown_flag"] and pod_rules.shutdown_timeout(release) is None:
        flags.append(f"--shutdown-timeout={int(pods['drain'])}")
    return flags


def _rank(pods: Pods, rank: str) -> list[str]:
    """vLLM's place among the nodes of a replica ("Parallelism and Scaling", vLLM). The LeaderWorkerSet gives every container
    the variables (`AddLWSVariables`, kubernetes-sigs/lws)."""
    nodes = int(pods["nodes_per_replica"])
    if nodes == 1:
        return []
    return [f"--nnodes={nodes}", f"--node-rank={rank}", "--master-addr=$(LWS_LEADER_ADDRESS)"]


def _resources(pods: Pods, release: Release) -> dict[str, Any]:
    """GPUs and EFA are requested as they are limited ("Schedule GPUs", Kubernetes). Memory too: what a pod may take beyond its
    request is its neighbour's. CPUs have no limit: they are only throttled by it."""
    memory = f"{pods['memory_gib']}Gi"
    devices: dict[str, str] = {}
    if pods["gpus"]:
        devices[pods["gpu_resource"]] = str(int(pods["gpus"]))
    if pods["efa"]:
        devices |= {"vpc.amazonaws.com/efa": str(int(pods["efa"])), "hugepages-2Mi": _HUGE_PAGES}
    requests = {"cpu": str(pods["cpus"]), "memory": memory, **devices}
    if is_fetched(release) and not _claims(pods):
        requests["ephemeral-storage"] = f"{_cache_gib(pods)}Gi"
    return {"requests": requests, "limits": {"memory": memory, **devices}}


def _probes(pods: Pods, release: Release) -> dict[str, Any]:
    """Loading takes minutes, and nothing else is asked meanwhile; then readiness asks as the load balancer's check does on EC2.

    Liveness kills for a server that is gone, never for one that is slow: it tries the port, and gives up after five minutes
    ("Configure Liveness, Readiness and Startup Probes", Kubernetes)."""
    ready = {"httpGet": {"path": f"{pods['health_path']}?release={release['digest']}", "port": "http"}}
    path = pods.get("liveness_path")
    alive: dict[str, Any] = {"httpGet": {"path": path, "port": "http"}} if path else {"tcpSocket": {"port": "http"}}
    tries = math.ceil(pods["launch_timeout"] / STARTUP_PERIOD)
    return {
        "startupProbe": {**ready, "periodSeconds": STARTUP_PERIOD, "timeoutSeconds": 5, "failureThreshold": tries},
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3, "successThreshold": 1},
        "livenessProbe": {**alive, "periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 10},
    }


def _spread(pods: Pods, release: Release, key: str) -> dict[str, Any]:
    """Evenly where there is room: a zone without GPUs must not keep pods from running in another. Nodes whose taints are not
    tolerated have no share ("Pod Topology Spread Constraints", Kubernetes)."""
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": pod_labels(pods, release, names.SERVER)},
    }


def _one_zone(pods: Pods, release: Release) -> dict[str, Any]:
    """The pods of a replica stand in one zone: their traffic with each other is what a sharded model waits for, and EFA's does
    not cross zones. `matchLabelKeys`: "Assigning Pods to Nodes", Kubernetes."""
    environment = {**names.environment_labels(pods["service"], pods["environment"])}
    environment[names.RELEASE_LABEL] = names.release_label(release["digest"])
    term = {
        "topologyKey": _ZONE,
        "labelSelector": {"matchLabels": environment},
        "matchLabelKeys": [f"{_LWS}/name", f"{_LWS}/group-index"],
    }
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _volumes(pods: Pods, release: Release) -> list[dict[str, Any]]:
    manifest = {"fieldRef": {"fieldPath": f"metadata.annotations['{names.MANIFEST_ANNOTATION}']"}, "path": _RELEASE_FILE}
    return [
        {"name": "release", "downwardAPI": {"items": [manifest]}},
        {"name": "scratch", "emptyDir": {"sizeLimit": "10Gi"}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{pods['shm_gib']}Gi"}},
        *([{"name": "models", **_models(pods)}] if is_fetched(release) else []),
    ]


def _models(pods: Pods) -> dict[str, Any]:
    """Where fetched models lie: on the node's disk, in a volume of the pod's own, or in one that pods share."""
    cache = pods.get("cache") or {}
    if cache.get("claim_name"):
        return {"persistentVolumeClaim": {"claimName": cache["claim_name"]}}
    size = f"{_cache_gib(pods)}Gi"
    if cache.get("storage_class"):
        claim = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": cache["storage_class"],
            "resources": {"requests": {"storage": size}},
        }
        return {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
    return {"emptyDir": {"sizeLimit": size}}


def _claims(pods: Pods) -> bool:
    cache = pods.get("cache") or {}
    return bool(cache.get("claim_name") or cache.get("storage_class"))


def _cache_gib(pods: Pods) -> int:
    return int((pods.get("cache") or {}).get("size_gib") or pod_rules.CACHE_GIB)


def _hash(release: Release) -> str:
    return str(release["model"]["sha256"]).removeprefix("sha256:")


def _fetch(pods: Pods, release: Release) -> dict[str, Any]:
    """Fetches the model and compares it with the release before the server starts."""
    values = {"HOME": _SCRATCH, "MODELS": _MODELS, "MODEL_SHA256": _hash(release), "MODEL_URI": release["model"]["uri"]}
    found: dict[str, Any] = {
        "name": "model",
        "image": pods["fetch_image"],
        "command": ["/bin/sh", "-c", (resources.files("turnout_components") / "pods/fetch.sh").read_text()],
        "env": [{"name": name, "value": value} for name, value in sorted(values.items())],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "securityContext": dict(_LOCKED),
        "volumeMounts": [{"name": "models", "mountPath": _MODELS}, {"name": "scratch", "mountPath": _SCRATCH}],
    }
    if pods.get("fetch_secret_name"):
        found["envFrom"] = [{"secretRef": {"name": pods["fetch_secret_name"]}}]
    return found
