"""What holds of GPU nodes and their pools: metadata service, images, marks, GPUs, Spot, warm pools. Pure checks."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from turnout_components import checks
from turnout_components.checks import Fault
from turnout_components.gpus import gpus
from turnout_components.policy_pools import GROUP, MOST_GPUS, TEMPLATE, Pool, document, most, pools
from turnout_components.policy_resources import (
    UNKNOWN,
    Found,
    Resource,
    Stack,
    StackFound,
    Undecided,
    at,
    each,
    leads_to,
    of,
    whole,
)
from turnout_components.policy_resources import document as json_document
from turnout_components.policy_traffic import share
from turnout_components.release import SHA256

INSTANCE = "aws:ec2/instance:Instance"
LAUNCH_CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
INSTANCES = (TEMPLATE, INSTANCE, LAUNCH_CONFIGURATION)
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
NODE_POOLS = ("kubernetes:karpenter.sh/v1:NodePool", "kubernetes:karpenter.sh/v1beta1:NodePool")
TASKS = "aws:ecs/taskDefinition:TaskDefinition"
FUNCTION = "aws:lambda/function:Function"
RUNS_IMAGES = (TEMPLATE, TASKS, FUNCTION, "kubernetes:")
TAINT = "nvidia.com/gpu"
_BY_DIGEST = re.compile(rf"^[^\s@]+@{SHA256}$")
_NAMES_GPUS = re.compile(r"^(karpenter\.k8s\.aws/instance-gpu-|nvidia\.com/gpu)")
_POOL_TAGS = ("turnout:service", "turnout:environment", "turnout:release")


def imdsv2(resource: Resource, _: Mapping[str, Any]) -> Found:
    """The metadata service answers sessions only, or nobody ("Use the Instance Metadata Service to access instance metadata",
    Amazon EC2 User Guide)."""
    tokens, endpoint = resource.get("metadataOptions.httpTokens"), resource.get("metadataOptions.httpEndpoint")
    by_template = resource.type == INSTANCE and resource.get("launchTemplate") and resource.get("metadataOptions") is None
    if tokens == "required" or endpoint == "disabled" or by_template:
        return
    if UNKNOWN in (tokens, endpoint):
        yield Undecided("metadataOptions.httpTokens")
        return
    fix = 'write metadataOptions.httpTokens "required"'
    yield Fault("metadataOptions.httpTokens", tokens, "lets requests without a session in", fix)


def images_by_digest(resource: Resource, _: Mapping[str, Any]) -> Found:
    """An image's tag can be moved to another image; its digest cannot ("Pulling an image", Amazon ECR User Guide)."""
    for path, image in _images(resource):
        if image is UNKNOWN:
            yield Undecided(path)
        elif not _BY_DIGEST.match(str(image)):
            yield Fault(path, image, "names an image by what can be moved", "write <image>@sha256:<64 hex digits>")


def _images(resource: Resource) -> Iterator[tuple[str, Any]]:
    if resource.type == TEMPLATE:
        node = document(resource)
        yield from _node_images(node)
    elif resource.type == FUNCTION:
        if resource.get("imageUri"):
            yield "imageUri", resource.get("imageUri")
    elif resource.type == TASKS:
        containers = json_document(resource.get("containerDefinitions"))
        if containers is UNKNOWN:
            yield "containerDefinitions", UNKNOWN
        yield from ((f"containerDefinitions[{n}].image", at(one, "image")) for n, one in enumerate(each(containers)))
    else:
        yield from _container_images(resource.props, "")


def _node_images(node: Any) -> Iterator[tuple[str, Any]]:
    if node is UNKNOWN:
        yield "userData", UNKNOWN
    elif node is not None:
        yield "userData release.image", node["release"]["image"]
        if node.get("mirror"):
            yield "userData mirror.image", node["mirror"]["image"]


def _container_images(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The images of `containers` and `initContainers`, wherever a Kubernetes object holds them."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            below = f"{path}.{key}" if path else str(key)
            if key in ("containers", "initContainers", "ephemeralContainers"):
                yield from ((f"{below}[{n}].image", at(one, "image")) for n, one in enumerate(each(inner)))
            else:
                yield from _container_images(inner, below)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _container_images(inner, f"{path}[{index}]")


def marked(resource: Resource, given: Mapping[str, Any]) -> Found:
    """GPU nodes say what they are, and take nothing that did not ask for GPUs.

    A Kubernetes node by taint and labels ("Taint GPU nodes", Amazon EKS User Guide; "NodePools", Karpenter). What stands for
    them at an instance without Kubernetes: tags that its group hands on (nothing is scheduled there but its own release)."""
    if resource.type == NODE_GROUP:
        yield from _node_group(resource, given["taint"])
    elif resource.type in NODE_POOLS:
        yield from _node_pool(resource, given["taint"])
    else:
        yield from _pool_tags(resource)


def _node_group(resource: Resource, key: str) -> Found:
    types = resource.get("instanceTypes")
    if types is UNKNOWN or UNKNOWN in each(types):
        yield Undecided("instanceTypes")
        return
    if not any(not checks.gpu_instance_type(name) for name in each(types)) and not _gpu_image(resource):
        return
    yield from _taints(resource.get("taints"), "taints", key, ("NO_SCHEDULE", "NO_EXECUTE"))
    yield from _labels(resource.get("labels"), "labels", key)


def _gpu_image(resource: Resource) -> bool:
    return any(word in str(resource.get("amiType")) for word in ("NVIDIA", "GPU"))


def _wants_gpus(resource: Resource) -> bool:
    """Whether a NodePool's requirements name GPUs or types that have them."""
    wanted = each(resource.get("spec.template.spec.requirements"))
    return any(_NAMES_GPUS.match(str(at(one, "key"))) or _gpu_values(one) for one in wanted)


def _node_pool(resource: Resource, key: str) -> Found:
    if _wants_gpus(resource):
        taints = resource.get("spec.template.spec.taints")
        yield from _taints(taints, "spec.template.spec.taints", key, ("NoSchedule", "NoExecute"))
        yield from _labels(resource.get("spec.template.metadata.labels"), "spec.template.metadata.labels", key)


def _gpu_values(requirement: Any) -> bool:
    """Whether a requirement names GPU types or families."""
    values = [str(value) for value in each(at(requirement, "values"))]
    named = at(requirement, "key")
    if named == "node.kubernetes.io/instance-type":
        return any(not checks.gpu_instance_type(value) for value in values)
    return named == "karpenter.k8s.aws/instance-family" and any(value in checks.GPU_FAMILIES for value in values)


def _taints(taints: Any, path: str, key: str, effects: tuple[str, ...]) -> Found:
    if taints is UNKNOWN:
        yield Undecided(path)
    elif not any(at(one, "key") == key and at(one, "effect") in effects for one in each(taints)):
        yield Fault(path, taints, f"keep nothing off the GPUs: none is {key}", f"add a taint {key} with effect {effects[0]}")


def _labels(labels: Any, path: str, key: str) -> Found:
    if labels is UNKNOWN:
        yield Undecided(path)
    elif not any(str(name).startswith(key) for name in labels or ()):
        yield Fault(path, labels, "do not say that the nodes have GPUs", f'add a label such as {key}.present: "true"')


def _pool_tags(resource: Resource) -> Found:
    """An auto scaling group of GPU pools: one that any Turnout tag marks."""
    by_key = {at(one, "key"): one for one in each(resource.get("tags"))}
    if UNKNOWN in by_key:
        yield Undecided("tags")
        return
    if not any(str(key).startswith("turnout:") for key in by_key):
        return
    for key in _POOL_TAGS:
        if key not in by_key:
            yield Fault(f"tags.{key}", None, "is missing: nobody sees what its nodes run", f"add the tag {key}")
        elif at(by_key[key], "propagateAtLaunch") is False:
            yield Fault(f"tags.{key}", False, "stays at the group", "write propagateAtLaunch true")


MARKED = (GROUP, NODE_GROUP, *NODE_POOLS)


def gpu_ceiling(stack: Stack, given: Mapping[str, Any]) -> StackFound:
    """All pools at their maximum together have no more GPUs than the stack may pay for."""
    counted, unknown = 0.0, False
    for resource, most_gpus in _most_gpus(stack):
        if most_gpus == math.inf:
            fix = f'write spec.limits with "{TAINT}"'
            yield resource, Fault(f"spec.limits.{TAINT}", None, "has no limit of GPUs: it starts whatever pods ask for", fix)
        elif most_gpus is None:
            unknown = True
            yield resource, Undecided("maximum or instance types")
        else:
            counted += most_gpus
    if counted > given["ceiling"]:
        reason = f"are more than the stack's ceiling of {given['ceiling']}" + (", with what is known" if unknown else "")
        fix = "lower turnout:pool.maximum, or raise the policy's ceiling"
        yield None, Fault("GPUs of all pools at their maximum", f"{counted:g}", reason, fix)


def _most_gpus(stack: Stack) -> Iterator[tuple[Resource, float | None]]:
    """GPUs of each pool, node group and instance at its maximum; None where that is not known yet."""
    for pool in pools(stack):
        sizes = (pool.group.get("maxSize"), pool.group.get("warmPool.maxGroupPreparedCapacity"))
        each_has = _of_pool(pool)
        known = None if UNKNOWN in sizes or each_has is None else max(whole(size) or 0 for size in sizes) * each_has
        yield pool.group, known
    for group in of(stack, NODE_GROUP):
        sizes = (group.get("scalingConfig.maxSize"), group.get("warmPoolConfig.maxGroupPreparedCapacity"))
        types = group.get("instanceTypes") or _of_template(stack, group)
        unknown = UNKNOWN in (*sizes, types, *each(types))
        yield group, None if unknown else max(whole(size) or 0 for size in sizes) * _of_types(each(types))
    for karpenter in of(stack, *NODE_POOLS):
        if _wants_gpus(karpenter):
            yield karpenter, _limit(karpenter)
    for instance in of(stack, INSTANCE):
        kind = instance.get("instanceType")
        yield instance, None if kind is UNKNOWN else _of_types(each(kind))


def _limit(pool: Resource) -> float | None:
    """GPUs that Karpenter starts at most ("NodePools", spec.limits); infinite without a limit."""
    limits = pool.get("spec.limits")
    held = UNKNOWN if limits is UNKNOWN else (limits or {}).get(TAINT)
    return None if held is UNKNOWN else math.inf if held is None else float(whole(held) or 0)


def _of_template(stack: Stack, group: Resource) -> Any:
    """The instance type that a node group's launch template names."""
    templates = (one for one in of(stack, TEMPLATE) if leads_to(group, "launchTemplate.id", one, "id"))
    return next((one.get("instanceType") for one in templates), None)


def _of_pool(pool: Pool) -> float | None:
    """GPUs of one instance."""
    if pool.types is UNKNOWN or UNKNOWN in pool.requirements:
        return None
    bounds = [at(wanted, "acceleratorCount") for wanted in pool.requirements]
    limits = [at(bound, "max") for bound in bounds if bound is not None]
    if UNKNOWN in limits:
        return None
    return max([_of_types(pool.types), *(MOST_GPUS if limit is None else whole(limit) or 0 for limit in limits)])


def _of_types(types: list[str]) -> float:
    """The most GPUs of these types; of a family with GPUs whose number is not known here as many as any has."""
    unknown = [name for name in types if gpus(name) is None and not checks.gpu_instance_type(name)]
    return MOST_GPUS if unknown else most(types).count


def spot_only(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """The pool that carries requests has On-Demand Instances: all Spot Instances of a kind can go within two minutes ("Spot
    Instance interruptions", Amazon EC2 User Guide)."""
    for pool in pools(stack):
        only, sources = pool.spot_only, pool.group.needs.get("targetGroupArns", frozenset())
        if only is False:
            continue
        carried = share(stack, pool.group.get("targetGroupArns"), sources)
        if only is None or (carried is None):
            yield pool.group, Undecided("mixedInstancesPolicy or its share of requests")
        elif carried > 0:
            path = "mixedInstancesPolicy.instancesDistribution"
            reason = f"carries {carried} % of the requests on Spot Instances alone"
            yield pool.group, Fault(path, "no On-Demand", reason, "write a turnout:pool.on_demand_base of 1 or more")


def slow_without_warm_pool(stack: Stack, given: Mapping[str, Any]) -> StackFound:
    """A model that fills much GPU memory is long in loading; a warm pool holds instances that have loaded it ("Decrease latency
    for applications with long boot times using warm pools"). Not of Spot Instances, for which AWS has none."""
    for pool in pools(stack):
        if pool.group.get("warmPool") is not None or pool.has_spot or pool.environment is None:
            continue
        if pool.types is UNKNOWN:
            yield pool.group, Undecided("instance types")
            continue
        gib = most(pool.types).mib / 1024
        if gib >= given["gpu_memory_gib"]:
            reason = f"stands beside {gib:.0f} GiB of GPU memory an instance, which take minutes to fill"
            yield (
                pool.group,
                Fault("warmPool", None, reason, "write turnout:pool.warm_pool such as {state: stopped, minimum: 1}"),
            )
