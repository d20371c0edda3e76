"""How GPUs are offered to pods, and what would contradict itself, as pure functions (`checks.Fault`).

Sources: "NVIDIA device plugin for Kubernetes" (README: As a configuration file, Shared Access to GPUs), "NVIDIA Multi-Instance
GPU User Guide".
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from turnout_components.checks import Fault

GPU = "nvidia.com/gpu"
MIG_STRATEGIES = ("none", "single", "mixed")
SHARINGS = ("time-slicing", "mps")
_MOST_SHARES = {"time-slicing": 128, "mps": 48}
"""MPS serves 48 clients at most ("Multi-Process Service", NVIDIA). Of time slices the plugin knows no bound: more than 128 of
one GPU are a mistake."""
_IMAGE = re.compile(r"^[a-z0-9.-]+(:\d+)?/[a-z0-9._/-]+(:[\w.-]+)?@sha256:[0-9a-f]{64}$")
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_RESOURCE = re.compile(r"^nvidia\.com/(gpu|mig-\d+g\.\d+gb(\.me|\.all)?)$")


def faults(args: Mapping[str, Any]) -> list[Fault]:
    """Every rule that the arguments of `GpuSupport` break. What is not known yet (an output) is not judged."""
    return [*_images(args), *_names(args), *_sharing(args)]


def _images(args: Mapping[str, Any]) -> Iterable[Fault]:
    for name in ("plugin_image", "exporter_image"):
        image = args.get(name)
        if isinstance(image, str) and not _IMAGE.match(image):
            fix = "write <registry>/<repository>@sha256:<64 hex digits>"
            yield Fault(name, image, "is not named by its digest, and runs with rights on every GPU node", fix)


def _names(args: Mapping[str, Any]) -> Iterable[Fault]:
    namespace = args.get("namespace", "gpu-support")
    if isinstance(namespace, str) and not _NAME.match(namespace):
        yield Fault("namespace", namespace, "is no name of a namespace", "write small letters, digits and hyphens")
    if namespace in ("default", "kube-system", "kube-public", "kube-node-lease"):
        reason = "would become privileged for everything that is in it"
        yield Fault("namespace", namespace, reason, "write one that is for this only, such as gpu-support")
    selector = args.get("node_selector")
    if isinstance(selector, Mapping) and not selector:
        yield Fault(
            "node_selector", {}, "chooses every node, also those without GPUs", "leave it out, or name labels of GPU nodes"
        )
    if not isinstance(interval := args.get("interval", 15), int) or not 1 <= interval <= 60:
        reason = "is no time between two measurements: a rule looks at the last minute"
        yield Fault("interval", interval, reason, "write seconds from 1 to 60")


def _sharing(args: Mapping[str, Any]) -> Iterable[Fault]:
    strategy, sharing = args.get("mig_strategy", "none"), args.get("sharing")
    if strategy not in MIG_STRATEGIES:
        yield Fault("mig_strategy", strategy, "is no strategy", f"write {', '.join(MIG_STRATEGIES)}")
    if sharing is None:
        return
    kind, replicas = sharing.get("kind"), sharing.get("replicas")
    resource = sharing.get("resource", GPU)
    if kind not in SHARINGS:
        yield Fault("sharing.kind", kind, "is no way to share a GPU", f"write {' or '.join(SHARINGS)}")
        return
    if not isinstance(replicas, int) or not 2 <= replicas <= _MOST_SHARES[kind]:
        yield Fault("sharing.replicas", replicas, "is no number of shares", f"write 2 to {_MOST_SHARES[kind]}")
    if not _RESOURCE.match(str(resource)):
        fix = "write nvidia.com/gpu, or nvidia.com/mig-<profile> with mig_strategy: mixed"
        yield Fault("sharing.resource", resource, "is no resource of the device plugin", fix)
        return
    if strategy == "single":
        reason = "divides GPUs that MIG divides already: pods would take shares of slices for GPUs of their own"
        yield Fault("sharing", dict(sharing), reason, "leave out sharing, or write mig_strategy: none")
    if kind == "mps" and strategy != "none":
        reason = "by MPS is not had on GPUs with MIG"
        yield Fault("sharing.kind", kind, reason, "write mig_strategy: none, or time-slicing of a MIG profile")
    if strategy == "none" and resource != GPU:
        reason = "is a MIG profile, and without a MIG strategy there are none"
        yield Fault("sharing.resource", resource, reason, f"write {GPU}, or mig_strategy: mixed")
    if strategy == "mixed" and kind == "time-slicing" and resource == GPU:
        reason = "is what no GPU with MIG offers: only its profiles are"
        yield Fault("sharing.resource", resource, reason, "name the profile to be sliced, such as nvidia.com/mig-1g.10gb")


def configuration(args: Mapping[str, Any]) -> str:
    """The plugin's configuration file. A share of a GPU is one GPU to the pod that asks for it, and a pod cannot ask for two
    (`failRequestsGreaterThanOne`): they would be no more than one."""
    found: dict[str, Any] = {
        "version": "v1",
        "flags": {"migStrategy": args.get("mig_strategy", "none"), "failOnInitError": True},
    }
    if sharing := args.get("sharing"):
        resource = {"name": sharing.get("resource", GPU), "replicas": sharing["replicas"]}
        key = "timeSlicing" if sharing["kind"] == "time-slicing" else "mps"
        rule = {"failRequestsGreaterThanOne": True} if key == "timeSlicing" else {}
        found["sharing"] = {key: {**rule, "resources": [resource]}}
    return json.dumps(found, indent=2, sort_keys=True) + "\n"
