"""What runs on every GPU node: NVIDIA's device plugin, the control daemon of MPS, and dcgm-exporter, as specs of DaemonSets.

Sources: "NVIDIA device plugin for Kubernetes" and its Helm chart's templates; "DCGM Exporter" (NVIDIA).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from turnout_components.gpu_support_rules import GPU, configuration

PLUGIN, EXPORTER, MPS = "nvidia-device-plugin", "dcgm-exporter", "nvidia-mps"
PORT = 9400
"""Port of dcgm-exporter's metrics."""
PRIVILEGED = {"pod-security.kubernetes.io/enforce": "privileged"}
"""For a namespace: the plugin registers with the kubelet by a socket among the node's files, and a `hostPath` volume is refused
by every other level ("Pod Security Standards")."""
_KUBELET, _MPS = "/var/lib/kubelet", "/run/nvidia/mps"
_EVERY_GPU = [
    {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
    {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility"},
]
_OF_THE_NODE = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
_LOCKED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_ADMIN = {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}
_CONFIG_FILE = {"name": "CONFIG_FILE", "value": "/config/config.yaml"}
_CONFIG_MOUNT = {"name": "config", "mountPath": "/config", "readOnly": True}
_MPS_MOUNTS = [{"name": "mps", "mountPath": "/mps"}, {"name": "shm", "mountPath": "/dev/shm"}]  # noqa: S108 -- the memory that clients share
_MPS_VOLUMES = [
    {"name": "mps", "hostPath": {"path": _MPS, "type": "DirectoryOrCreate"}},
    {"name": "shm", "hostPath": {"path": f"{_MPS}/shm", "type": ""}},
]


def labels(app: str) -> dict[str, str]:
    """What marks and selects the pods of a part."""
    return {"app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "turnout"}


def shares_by_mps(args: Mapping[str, Any]) -> bool:
    """Whether pods share GPUs by MPS, which needs its daemon."""
    return (args.get("sharing") or {}).get("kind") == "mps"


def plugin(args: Mapping[str, Any], config_map: str) -> dict[str, Any]:
    """The device plugin. With MIG it must see the devices of other containers, which takes SYS_ADMIN."""
    mig, mps = args.get("mig_strategy", "none") != "none", shares_by_mps(args)
    env = [_CONFIG_FILE, *([{"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"}] if mig else [])]
    env += [{"name": "MPS_ROOT", "value": _MPS}] if mps else []
    container = _container("plugin", args["plugin_image"], ["nvidia-device-plugin"], env, _ADMIN if mig else _LOCKED)
    container["volumeMounts"] = [{"name": "plugins", "mountPath": f"{_KUBELET}/device-plugins"}, _CONFIG_MOUNT]
    container["volumeMounts"] += _MPS_MOUNTS if mps else []
    volumes = [_folder("plugins", f"{_KUBELET}/device-plugins"), _config(config_map), *(_MPS_VOLUMES if mps else [])]
    return _daemon(args, PLUGIN, [container], volumes)


def mps(args: Mapping[str, Any], config_map: str) -> dict[str, Any]:
    """The control daemon of MPS: privileged, as it mounts the memory that its clients share."""
    privileged = {"privileged": True}
    first = _container("memory", args["plugin_image"], ["mps-control-daemon", "mount-shm"], [], privileged)
    first["volumeMounts"] = [{"name": "mps", "mountPath": "/mps", "mountPropagation": "Bidirectional"}]
    container = _container("daemon", args["plugin_image"], ["mps-control-daemon"], [_CONFIG_FILE, _OF_THE_NODE], privileged)
    container["volumeMounts"] = [*_MPS_MOUNTS, _CONFIG_MOUNT]
    return _daemon(args, MPS, [container], [_config(config_map), *_MPS_VOLUMES], first)


def exporter(args: Mapping[str, Any]) -> dict[str, Any]:
    """dcgm-exporter. From the kubelet's socket of pod resources it learns which pod has which GPU; profiling metrics, which are
    the only ones of MIG devices, take SYS_ADMIN."""
    env = [
        {"name": "DCGM_EXPORTER_LISTEN", "value": f":{PORT}"},
        {"name": "DCGM_EXPORTER_KUBERNETES", "value": "true"},
        {"name": "DCGM_EXPORTER_INTERVAL", "value": str(args.get("interval", 15) * 1000)},
        _OF_THE_NODE,
    ]
    container = _container("exporter", args["exporter_image"], [], env, _ADMIN)
    probe = {"httpGet": {"path": "/health", "port": "metrics"}, "periodSeconds": 10}
    container |= {
        "ports": [{"name": "metrics", "containerPort": PORT}],
        "volumeMounts": [{"name": "resources", "mountPath": f"{_KUBELET}/pod-resources", "readOnly": True}],
        "startupProbe": {**probe, "failureThreshold": 30},
        "readinessProbe": probe,
        "livenessProbe": probe,
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    }
    return _daemon(args, EXPORTER, [container], [_folder("resources", f"{_KUBELET}/pod-resources")])


def _container(name: str, image: str, command: Sequence[str], env: Sequence[Any], rights: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        **({"command": list(command)} if command else {}),
        "env": [*env, *_EVERY_GPU],
        "securityContext": {
            "runAsUser": 0,
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **rights,
        },
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
    }


def _folder(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "hostPath": {"path": path, "type": "Directory"}}


def _config(config_map: str) -> dict[str, Any]:
    return {"name": "config", "configMap": {"name": config_map}}


def _daemon(
    args: Mapping[str, Any], app: str, containers: list[Any], volumes: list[Any], first: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Spec of a DaemonSet. It tolerates every taint: without it a node has no GPUs to offer. Nodes get a new one a tenth at a
    time, also when only the configuration is another."""
    digest = hashlib.sha256(configuration(args).encode()).hexdigest()[:16]
    pod = {
        "priorityClassName": "system-node-critical",
        "automountServiceAccountToken": False,
        "nodeSelector": dict(args.get("node_selector") or {f"{GPU}.present": "true"}),
        "tolerations": [{"operator": "Exists"}],
        **({"runtimeClassName": args["runtime_class"]} if args.get("runtime_class") else {}),
        **({"initContainers": [first]} if first else {}),
        "containers": containers,
        "volumes": volumes,
    }
    meta = {"labels": labels(app), "annotations": {"turnout.dev/configuration": digest}}
    return {
        "selector": {"matchLabels": labels(app)},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
        "template": {"metadata": meta, "spec": pod},
    }
