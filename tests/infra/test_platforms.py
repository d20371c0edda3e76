"""The platform of a stack: what it needs, and what it has not, each a line with field, value and fix."""

from copy import deepcopy
from typing import Any

import pytest
from stack_config import config, fault, faults, read

from infra.config import Cloud, Platform
from infra.settings import ConfigFaults, parse

CLUSTER = {"TURNOUT_LOCAL_KUBECONFIG": "local/kubeconfig", "TURNOUT_LOCAL_ENDPOINT": "http://127.0.0.1:4566"}
FETCHES = {"pods": {"fetch_image": "docker.io/amazon/aws-cli@sha256:" + "ab" * 32}}
ON_KUBERNETES: dict[str, Any] = {
    "platform": "kubernetes",
    "cloud": "cluster",
    "kubernetes": {"gateway": {"name": "public"}, **FETCHES},
    "ingress": {},
    "pool": {"minimum": 1, "maximum": 2},
}
NEW_CLUSTER = {"version": "1.34", "nodes": {"maximum": 4}}
RUNNER = {"code_bucket": "example", "code_key": "a.zip"}
ON_EKS: dict[str, Any] = {
    "platform": "eks",
    "cloud": "aws",
    "cluster": NEW_CLUSTER,
    "kubernetes": FETCHES,
    "ingress__allowed_cidrs": [],
}


def kubernetes(root, **changes):
    """The sound config of a stack in a cluster that exists, without what an account needs."""
    found = config(root, **deepcopy({**ON_KUBERNETES, **changes}))
    return {key: value for key, value in found.items() if key not in ("region", "network") or key in changes}


def refused(root, **changes) -> list[str]:
    with pytest.raises(ConfigFaults) as ended:
        parse(kubernetes(root, **changes), root, {})
    return ended.value.faults


def test_a_stack_that_says_nothing_is_on_instances(root):
    found = read(root)
    assert (found.platform, found.kubeconfig) == (Platform.EC2, None)


def test_a_stack_in_a_cluster_that_exists_needs_neither_region_nor_network(root):
    found = parse(kubernetes(root), root, {})
    assert (found.platform, found.cloud, found.endpoint, found.kubeconfig) == (Platform.KUBERNETES, Cloud.CLUSTER, None, None)


@pytest.mark.parametrize("platform", ["ec2", "eks"])
@pytest.mark.parametrize("key", ["region", "network"])
def test_a_stack_in_an_account_needs_both(root, platform, key):
    changes = {"cluster": NEW_CLUSTER, "kubernetes": FETCHES} if platform == "eks" else {}
    known = config(root, platform=platform, **changes)
    del known[key]
    with pytest.raises(ConfigFaults) as ended:
        parse(known, root, CLUSTER)
    (line,) = ended.value.faults
    assert line.startswith(f"turnout:{key} = (nothing): is missing; write ")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"cloud": "aws"}, 'cloud = "aws": is no place for a stack with platform kubernetes; write cluster, or local'),
        ({"network": {"cidr": "10.0.0.0/16"}}, 'network.cidr = "10.0.0.0/16": is not of platform kubernetes; leave it out'),
        ({"ingress__certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}, "ingress.certificate_arn = "),
        ({"ingress__protocol": "tcp"}, 'ingress.protocol = "tcp": is not of platform kubernetes'),
        ({"pool__instance_type": "g5.xlarge"}, 'pool.instance_type = "g5.xlarge": is not of platform kubernetes'),
        ({"pool__warm_pool": {"minimum": 1}}, 'pool.warm_pool = {"minimum": 1}: is not of platform kubernetes'),
        ({"pool__protect_streams": False}, "pool.protect_streams = false: is not of platform kubernetes"),
        ({"health__alarm_topics": []}, "health.alarm_topics = []: is not of platform kubernetes"),
        ({"cluster": {"version": "1.34"}}, 'cluster.version = "1.34": is not of platform kubernetes'),
        ({"kubernetes__gateway": {}}, "kubernetes.gateway.name = (nothing): is missing; name the Gateway"),
        ({"kubernetes__gateway": {"gateway_class": "e"}}, "kubernetes.gateway.certificate_secret = (nothing): is missing"),
        ({"kubernetes__gateway__plain_http": True}, "kubernetes.gateway.plain_http = true: is of a Gateway of its own"),
        ({"kubernetes__namespace": "Has_Capitals"}, 'kubernetes.namespace = "Has_Capitals": string should match'),
        ({"kubernetes__pods": {}}, "kubernetes.pods.fetch_image = (nothing): is missing, and model s3://models/llm is not in"),
        (
            {"kubernetes__pods": {**FETCHES["pods"], "shm_gib": 12}},
            "kubernetes.pods.shm_gib = 12: leaves nothing of memory_gib",
        ),
        ({"pool__port": 80}, "pool.port = 80: is no port that a server without privileges can take"),
        ({"health__path": "/live", "kubernetes__pods__liveness_path": "/live"}, "kubernetes.pods.liveness_path = "),
        (
            {"kubernetes__scaling": {"pace": 1, "prometheus": {"address": "http://p:9090"}}},
            "kubernetes.scaling.pace = 1: is no setting",
        ),
        ({"kubernetes__scaling": {}}, "kubernetes.scaling.prometheus.address = (nothing): "),
        ({"scaling": {"step": {}}}, "scaling.step = {}: is not of platform kubernetes"),
        (
            {"secrets": {"names": ["KEY"]}},
            'secrets.names = ["KEY"]: is not of platform kubernetes; leave it out, and name where',
        ),
        ({"secrets": {"references": {"KEY": "vault:a#b"}}}, "secrets.vault = (nothing): names no Vault"),
        ({"record_table": "Turnout_Switch"}, 'record_table = "Turnout_Switch": is no name of a namespace'),
        ({"traffic__standby": {"warm_minimum": 3}}, "traffic.standby.warm_minimum = 3: is above pool.maximum 2"),
    ],
)
def test_what_a_cluster_that_exists_has_not_is_refused_by_name(root, changes, line):
    (said,) = refused(root, **changes)
    assert said.startswith(f"turnout:{line}")


def test_a_function_that_drives_rollouts_is_of_an_account(root):
    said = refused(root, runner=RUNNER)
    assert [line.partition(" = ")[0] for line in said] == ["turnout:runner.code_bucket", "turnout:runner.code_key"]
    assert all("a Job that runs `turnout rollout run` drives (docs/rollout-runner.md)" in line for line in said)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"cluster": None}, "cluster = (nothing): is missing; write {version: …}, or {name: …} of one that exists"),
        ({"cluster": {}}, "cluster = (nothing): is missing"),
        ({"cloud": "cluster"}, 'cloud = "cluster": is no place for a stack with platform eks; write local or aws'),
        ({"ingress__protocol": "tcp"}, 'ingress.protocol = "tcp": is not carried on EKS'),
        ({"kubernetes": {"context": "office"}}, 'kubernetes.context = "office": is not of platform eks'),
        ({"kubernetes": {"gateway": {"name": "public"}}}, "kubernetes.gateway = "),
        ({"pool__protect_streams": True}, "pool.protect_streams = true: is not of platform eks"),
        ({"runner": {**RUNNER, "timeout": 901}}, "runner.timeout = 901: is outside 30..900 seconds"),
        ({"runner": RUNNER, "network__nat": "none"}, 'network.nat = "none": leads the rollout runner nowhere; write single'),
        ({"network": {"cidr": "10.0.0.0/8", "zones": ["us-east-1a", "us-east-1b"]}}, 'network.cidr = "10.0.0.0/8": is no /16'),
    ],
)
def test_what_does_not_go_together_on_eks_is_refused(root, changes, line):
    said = faults(root, **{**ON_EKS, **changes})
    assert [one for one in said if one.startswith(f"turnout:{line}")], said


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"cloud": "cluster"}, 'cloud = "cluster": is no place for a stack with platform ec2; write local or aws, or'),
        (
            {"kubernetes": {"namespace": "team"}},
            'kubernetes.namespace = "team": is not of platform ec2; leave it out, or write',
        ),
        ({"cluster": {"name": "gpus"}}, 'cluster.name = "gpus": is not of platform ec2'),
        ({"platform": "k8s"}, "platform = \"k8s\": input should be 'ec2', 'eks' or 'kubernetes'; write ec2, eks or kubernetes"),
    ],
)
def test_what_instances_have_not_is_refused(root, changes, line):
    assert fault(root, **changes).startswith(f"turnout:{line}")


@pytest.mark.parametrize(
    ("platform", "missing"),
    [
        ({"platform": "kubernetes"}, ["TURNOUT_LOCAL_KUBECONFIG"]),
        (
            {"platform": "eks", "cluster": NEW_CLUSTER, "kubernetes": FETCHES},
            ["TURNOUT_LOCAL_ENDPOINT", "TURNOUT_LOCAL_KUBECONFIG"],
        ),
        ({}, ["TURNOUT_LOCAL_ENDPOINT"]),
    ],
)
def test_a_local_stack_is_told_what_does_not_run(root, platform, missing):
    known = kubernetes(root, cloud="local") if platform.get("platform") == "kubernetes" else config(root, **platform)
    with pytest.raises(ConfigFaults) as ended:
        parse(known, root, {})
    assert [name in line for name, line in zip(missing, ended.value.faults, strict=True)] == [True] * len(missing)
    found = parse(known, root, CLUSTER)
    assert (found.kubeconfig is None) == (found.platform is Platform.EC2)
    assert (found.endpoint is None) == (found.platform is Platform.KUBERNETES)
