"""What Kubernetes refuses of an environment's pods, and what would not do what it says, as pure functions (`checks.Fault`).

`pods` holds the plain values of `PodArgs` with what `WITH_DEFAULTS` says of those left out or None.
"""

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from turnout_components import capacity, checks, secret_rules
from turnout_components.checks import Fault
from turnout_components.kubernetes_names import workload_name
from turnout_components.release import SHA256

Pods = Mapping[str, Any]
Release = Mapping[str, Any]

DEFAULTS: Pods = {
    "gpus": 1,
    "gpu_resource": "nvidia.com/gpu",
    "cpus": 2,
    "memory_gib": 12,
    "shm_gib": 4,
    "minimum": 1,
    "disruptions": 1,
    "nodes_per_replica": 1,
    "efa": 0,
    "port": 8000,
    "health_path": "/ready",
    "launch_timeout": 1800,
    "drain": 30,
    "let_go": 20,
    "user": 1000,
    "scaled": False,
    "shutdown_flag": True,
}
CACHE_GIB = 100
_OPTIONAL = ("fetch_image", "secret_name", "secret_keys", "target_group_arn")
"""What has no default, and is needed beside some of the rest: None says that it is not given, not that it is not known."""
DRAIN_AT_MOST = 3600
"""Seconds; as on EC2, where targets drain no longer ("Deregistration delay", User Guide for Application Load Balancers)."""
_LEAST = {
    **dict.fromkeys(("memory_gib", "nodes_per_replica", "user", "let_go"), 1),
    **dict.fromkeys(("gpus", "shm_gib", "minimum", "disruptions", "efa", "drain"), 0),
    "cpus": 0.1,
    "launch_timeout": 30,
}
_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_DNS_NAME = re.compile(r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
_SERVICE = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_IMAGE = re.compile(rf"^[^\s@]+@{SHA256}$")
_PATH = re.compile(r"^/[^\s?#]*$")
_STATEFUL_SET_NAME = 52
"""Characters of a StatefulSet's name: its pods carry it with a dash and a hash of ten as a label of at most 63
("StatefulSets", Kubernetes; `controller-revision-hash`)."""
_IN_IMAGE = ("file:", "package:")


def with_defaults(pods: Pods) -> dict[str, Any]:
    """The pods' values with those that are left out: the namespace is called as the service."""
    given = {key: value for key, value in pods.items() if value is not None}
    return {**dict.fromkeys(_OPTIONAL), **DEFAULTS, "namespace": given.get("service"), **given}


def is_fetched(release: Release) -> bool:
    """Whether a pod fetches the model: else it lies in the image."""
    return not str(release["model"]["uri"]).startswith(_IN_IMAGE)


def faults(pods: Pods, release: Release | None) -> list[Fault]:
    """Every rule that the pods break. What is missing in `pods` is not judged: it may not be known yet."""
    found = [fault for rule in _RULES for fault in rule(pods)]
    return found if release is None else found + [fault for rule in _RULES_OF_RELEASES for fault in rule(pods, release)]


def refuse(pods: Pods, release: Release | None) -> None:
    """Raises `ValueError` with a line for each fault."""
    checks.refuse(faults(pods, release))


def _names(pods: Pods) -> Iterable[Fault]:
    """ "Object Names and IDs", Kubernetes: a Service's is an RFC 1035 label, a namespace's an RFC 1123 label."""
    for key in ("service", "environment"):
        value = pods.get(key)
        if isinstance(value, str) and not _SERVICE.match(value):
            yield Fault(key, value, "cannot begin the name of a Service", "write small letters, digits and -, a letter first")
    if isinstance(pods.get("service"), str) and len(pods["service"]) > 40:
        yield Fault("service", pods["service"], "is longer than 40 characters", "shorten it")
    for key, form in (("namespace", _DNS_LABEL), ("secret_name", _DNS_NAME), ("fetch_secret_name", _DNS_NAME)):
        value = None if pods.get(key) == pods.get("service") else pods.get(key)
        if isinstance(value, str) and (not form.match(value) or len(value) > (63 if key == "namespace" else 253)):
            yield Fault(key, value, "is no name on Kubernetes", "write small letters, digits and -")


def _numbers(pods: Pods) -> Iterable[Fault]:
    for key, least in _LEAST.items():
        value = pods.get(key)
        if value is not None and value < least:
            reason = "is root, which the restricted Pod Security Standard refuses" if key == "user" else f"is below {least}"
            yield Fault(key, value, reason, f"write {least} or more")
    port, drain = pods.get("port"), pods.get("drain")
    if port is not None and not 1024 <= port <= 65535:
        fix = "write a port from 1024 to 65535"
        yield Fault("port", port, "is no port that a server without privileges can take", fix)
    if drain is not None and drain > DRAIN_AT_MOST:
        yield Fault("drain", drain, f"is above {DRAIN_AT_MOST} s", f"write seconds from 0 to {DRAIN_AT_MOST}")


def _memory(pods: Pods) -> Iterable[Fault]:
    """What lies in an `emptyDir` of medium Memory counts as the container's memory ("Volumes", Kubernetes)."""
    shm, memory = pods.get("shm_gib"), pods.get("memory_gib")
    if shm is not None and memory is not None and shm >= memory:
        yield Fault("shm_gib", shm, f"leaves nothing of memory_gib {memory}, which it is part of", f"write less than {memory}")


def _gpus(pods: Pods) -> Iterable[Fault]:
    resource, gpus = pods.get("gpu_resource"), pods.get("gpus")
    if resource is not None and not re.match(r"^nvidia\.com/[A-Za-z0-9._-]+$", str(resource)):
        fix = "write nvidia.com/gpu, or nvidia.com/mig-<profile>"
        yield Fault("gpu_resource", resource, "is no resource of NVIDIA's device plugin", fix)
    if gpus is not None and gpus != int(gpus):
        reason = "is no whole number: GPUs are not shared by fractions"
        yield Fault("gpus", gpus, reason, "write a whole number; for parts of a GPU name a gpu_resource of MIG")


def _paths(pods: Pods) -> Iterable[Fault]:
    for key in ("health_path", "liveness_path"):
        value = pods.get(key)
        if value is not None and not _PATH.match(str(value)):
            yield Fault(key, value, "is no path", "write a path such as /ready, without ? and #")
    if pods.get("liveness_path") is not None and pods.get("liveness_path") == pods.get("health_path"):
        reason = "is the health path: a server with a full queue would be killed for not being ready"
        yield Fault("liveness_path", pods["liveness_path"], reason, "name a cheaper path, or leave it out: then TCP is tried")


def _cache(pods: Pods) -> Iterable[Fault]:
    """The restricted Pod Security Standard refuses `hostPath` ("Pod Security Standards", Kubernetes, Volume Types)."""
    cache = pods.get("cache") or {}
    if "host_path" in cache:
        fix = "leave it out: emptyDir is on the node's NVMe where the node's storage is; or name a storage_class or claim_name"
        yield Fault("cache.host_path", cache["host_path"], "is a volume that the restricted standard refuses", fix)
    elif unknown := sorted(set(cache) - {"size_gib", "storage_class", "claim_name"}):
        fix = "write size_gib, storage_class or claim_name"
        yield Fault(f"cache.{unknown[0]}", cache[unknown[0]], "is nothing that a cache has", fix)
    if cache.get("storage_class") and cache.get("claim_name"):
        yield Fault("cache.storage_class", cache["storage_class"], "stands beside claim_name", "leave one of them out")
    if cache.get("size_gib") is not None and cache["size_gib"] < 1:
        yield Fault("cache.size_gib", cache["size_gib"], "is below 1", "write the model's size in GiB and some room")


def _sources(pods: Pods) -> Iterable[Fault]:
    sources = [(f"clients[{n}]", one) for n, one in enumerate(pods.get("clients") or ())]
    if pods.get("prometheus") is not None:
        sources.append(("prometheus", pods["prometheus"]))
    for field, source in sources:
        cidr, namespace = source.get("cidr"), source.get("namespace")
        if unknown := sorted(set(source) - {"cidr", "namespace", "pods"}):
            yield Fault(
                f"{field}.{unknown[0]}", source[unknown[0]], "is nothing that a source has", "write cidr, namespace or pods"
            )
        elif cidr is None and namespace is None and not source.get("pods"):
            yield Fault(field, dict(source), "names nobody", "write a cidr, a namespace, or pods by their labels")
        elif cidr is not None and (namespace is not None or source.get("pods")):
            yield Fault(field, dict(source), "is both a network and pods", "write two sources")
        elif cidr is not None:
            yield from checks.below(f"{field}.cidr", _block(cidr))
    for index, cidr in enumerate(pods.get("https_cidrs") or ()):
        yield from checks.below(f"https_cidrs[{index}]", _block(cidr))


def _block(cidr: Any) -> list[Fault]:
    fix = "write a block such as 10.20.0.0/16"
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        return [Fault("", cidr, str(error).replace(f"{cidr} ", ""), fix)]
    return [] if "/" in str(cidr) else [Fault("", cidr, "says not how many addresses it has", fix)]


def _boot(pods: Pods) -> Iterable[Fault]:
    yield from capacity.faults({"boot": pods.get("boot")})


def _secret(pods: Pods) -> Iterable[Fault]:
    """Each variable by name: a pod whose Secret lacks it says so, and does not start ("Secrets", Kubernetes)."""
    keys = pods.get("secret_keys")
    for key in keys or ():
        yield from checks.below("secret_keys", secret_rules.variable(key))
    if keys and "secret_name" in pods and not pods["secret_name"]:
        yield Fault("secret_name", None, "is missing, and secret_keys are to be read from it", "name the Secret")
    if pods.get("secret_name") and "secret_keys" in pods and not keys:
        yield Fault("secret_keys", keys, "are missing: no variable comes from the Secret", "name its keys")


def _targets(pods: Pods) -> Iterable[Fault]:
    if pods.get("balancer_security_group_id") and "target_group_arn" in pods and not pods["target_group_arn"]:
        group = pods["balancer_security_group_id"]
        yield Fault("balancer_security_group_id", group, "is of no use without a target group", "give target_group_arn")


_RULES: tuple[Callable[[Pods], Iterable[Fault]], ...] = (
    *(_names, _numbers, _memory, _gpus, _paths, _cache, _sources, _boot, _secret, _targets),
)


def _fetching(pods: Pods, release: Release) -> Iterable[Fault]:
    image, uri = pods.get("fetch_image"), release["model"]["uri"]
    if image is not None and not _IMAGE.match(str(image)):
        yield Fault("fetch_image", image, "names an image by what can be moved", "write <image>@sha256:<64 hex digits>")
    if is_fetched(release) and not uri.startswith(("s3://", "https://")):
        yield Fault(
            "release.model.uri", uri, "is nothing that a pod fetches", "write s3://, https://, or what lies in the image"
        )
    elif is_fetched(release) and "fetch_image" in pods and image is None:
        fix = "name an image with sh, sha256sum and the AWS CLI (curl for https://) by digest"
        yield Fault("fetch_image", image, f"is missing, and model {uri} is not in the server's image", fix)


def _shutdown(pods: Pods, release: Release) -> Iterable[Fault]:
    """A server that waits longer than its pod is given is killed ("Pod Lifecycle", Kubernetes)."""
    said = shutdown_timeout(release)
    if said is not None and pods.get("drain") is not None and said > pods["drain"]:
        reason = f"waits longer than the drain of {pods['drain']} s, in which its pod ends"
        yield Fault("release.engine.flags", f"--shutdown-timeout={said}", reason, f"write a drain of {said} or more")


def _sharded(pods: Pods, release: Release) -> Iterable[Fault]:
    nodes = pods.get("nodes_per_replica") or 1
    if nodes == 1:
        return
    engine = release["engine"]["name"]
    if engine != "vllm":
        reason = f"of engine {engine}: how it spreads a model over nodes is not known here"
        yield Fault("nodes_per_replica", nodes, reason, "serve it with vllm, or on one node")
    name = workload_name(str(pods.get("service", "")), str(pods.get("environment", "")), release["digest"])
    room = _STATEFUL_SET_NAME - len("-99")
    if len(name) > room:
        reason = f"makes the name {name}, of which a LeaderWorkerSet's StatefulSets leave {room} characters"
        yield Fault("service", pods.get("service"), reason, f"shorten it by {len(name) - room}")


def shutdown_timeout(release: Release) -> int | None:
    """What the release's own flags say of vLLM's `--shutdown-timeout`, in seconds."""
    flags = [*release["engine"]["flags"], ""]
    for flag, following in itertools.pairwise(flags):
        name, _, value = str(flag).partition("=")
        if name == "--shutdown-timeout" and (value or following).isdigit():
            return int(value or following)
    return None


_RULES_OF_RELEASES: tuple[Callable[[Pods, Release], Iterable[Fault]], ...] = (_fetching, _shutdown, _sharded)
