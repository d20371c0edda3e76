"""What AWS refuses of an EKS cluster, and what would leave it open, as pure functions (`checks.Fault`); its kubeconfig.

docs/eks.md has the pages.
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnout_components.checks import Fault, ipv4_block

Args = Mapping[str, Any]

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
""" "Send control plane logs to CloudWatch Logs", Amazon EKS User Guide."""
DAEMONS = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
"""Add-ons that nodes need to become ready, and pods to get their roles: they come before the first node."""
WORKLOADS = ("coredns", "metrics-server", "aws-ebs-csi-driver", "eks-node-monitoring-agent")
"""Add-ons that come after the system nodes: a Deployment without a node is DEGRADED, and its create waits."""
ADDONS = (*DAEMONS, *WORKLOADS)
RETENTION = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Days that CloudWatch Logs offers ("PutRetentionPolicy")."""
EXISTING = ("endpoint", "certificate_authority", "security_group_id")
"""What is told of a cluster that exists."""
NEW = ("version", "vpc_id", "subnet_ids", "admins", "public_access_cidrs", "system_nodes", "addon_versions", "service_cidr")
_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9\-_]{0,99}")
_VERSION = re.compile(r"1\.[1-9]\d")
_ADDON_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
_PRINCIPAL = re.compile(r"arn:[\w-]+:iam::\d{12}:(role|user)/.+")
_SERVICE_BLOCKS = [ipaddress.ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def faults(args: Args) -> list[Fault]:
    """Every rule that what is known of the arguments breaks."""
    rules = _of_existing if args.get("exists") else _of_new
    return [*_name(args), *rules(args)]


def _name(args: Args) -> Iterable[Fault]:
    name = args.get("name")
    if isinstance(name, str) and not _NAME.fullmatch(name):
        reason = "is no name of a cluster: 1 to 100 letters, digits, - and _, beginning with a letter or digit"
        yield Fault("name", name, reason, "shorten it, or take out other characters")


def _of_existing(args: Args) -> Iterable[Fault]:
    for key in EXISTING:
        if args.get(key) is None:
            fix = f"write what `aws eks describe-cluster --name {args.get('name')}` tells (eks_lookup)"
            yield Fault(key, None, "is missing of a cluster that exists", fix)
    for key in NEW:
        if args.get(key) is not None:
            yield Fault(key, args[key], "is of no use to a cluster that exists", "leave it out, or leave out exists")


def _of_new(args: Args) -> Iterable[Fault]:
    for key in ("version", "vpc_id", "subnet_ids", "admins"):
        if args.get(key) is None:
            yield Fault(key, None, "is missing of a new cluster", "give it, or write exists: true for one that exists")
    for key in EXISTING:
        if args.get(key) is not None:
            yield Fault(key, args[key], "is told of a cluster that exists only", "leave it out, or write exists: true")
    version = args.get("version")
    if isinstance(version, str) and not _VERSION.fullmatch(version):
        yield Fault("version", version, "is no minor version of Kubernetes", "write one such as 1.34")
    subnets = args.get("subnet_ids")
    if isinstance(subnets, Sequence) and len(subnets) < 2:
        yield Fault("subnet_ids", list(subnets), "are in fewer than two zones", "give private subnets of two zones or more")
    yield from _admins(args.get("admins"))
    yield from _public(args.get("public_access_cidrs"))
    yield from _service_block(args.get("service_cidr"))
    yield from _logs(args)
    yield from _system(args.get("system_nodes"))
    yield from _addon_versions(args.get("addon_versions"))


def _admins(admins: Any) -> Iterable[Fault]:
    """Without an entry nobody would reach the cluster: its creator is no administrator by itself here ("Grant IAM users access
    to Kubernetes with EKS access entries")."""
    if not isinstance(admins, Mapping):
        return
    if not admins:
        yield Fault("admins", {}, "are nobody: no one could manage the cluster", "name a role, such as the one that deploys")
    for name, principal in admins.items():
        if not isinstance(principal, str):
            continue
        if not _PRINCIPAL.fullmatch(principal):
            fix = "write arn:aws:iam::<account>:role/<name>"
            yield Fault(f"admins.{name}", principal, "is no role or user of IAM", fix)
        elif ":role/aws-service-role/" in principal:
            yield Fault(f"admins.{name}", principal, "is a service-linked role, which gets no entry", "name another role")


def _public(cidrs: Any) -> Iterable[Fault]:
    """ "Cluster API server endpoint": with the public endpoint everybody may knock, unless blocks are named."""
    for cidr in cidrs if isinstance(cidrs, Sequence) and not isinstance(cidrs, str) else ():
        if not isinstance(cidr, str):
            continue
        wrong = ipv4_block(cidr)
        yield from (Fault("public_access_cidrs", f.value, f.reason, f.fix) for f in wrong)
        if not wrong and ipaddress.ip_network(cidr).prefixlen < 8:
            yield Fault("public_access_cidrs", cidr, "is the internet", "name the networks that manage the cluster")


def _service_block(cidr: Any) -> Iterable[Fault]:
    """ "KubernetesNetworkConfigRequest": private, and /24 to /12."""
    if not isinstance(cidr, str):
        return
    wrong = ipv4_block(cidr)
    yield from (Fault("service_cidr", f.value, f.reason, f.fix) for f in wrong)
    if wrong:
        return
    block = ipaddress.IPv4Network(cidr)
    if not 12 <= block.prefixlen <= 24 or not any(block.subnet_of(one) for one in map(ipaddress.IPv4Network, _SERVICE_BLOCKS)):
        yield Fault("service_cidr", cidr, "is no private block of /12 to /24", "write one such as 172.20.0.0/16")


def _logs(args: Args) -> Iterable[Fault]:
    days = args.get("log_retention_days")
    if isinstance(days, int) and days not in RETENTION:
        yield Fault("log_retention_days", days, "is no time that CloudWatch Logs offers", f"write one of {_listed(RETENTION)}")


def _system(nodes: Any) -> Iterable[Fault]:
    if not isinstance(nodes, Mapping):
        return
    least, most = nodes.get("minimum", 2), nodes.get("maximum", 3)
    if isinstance(least, int) and least < 1:
        yield Fault("system_nodes.minimum", least, "leaves CoreDNS without a node", "write 1 or more; 2 outlive a zone")
    if isinstance(least, int) and isinstance(most, int) and most < least:
        yield Fault("system_nodes.maximum", most, f"is below minimum {least}", f"write {least} or more")


def _addon_versions(versions: Any) -> Iterable[Fault]:
    for name, version in versions.items() if isinstance(versions, Mapping) else ():
        if name not in ADDONS:
            yield Fault(f"addon_versions.{name}", version, "is no add-on of the cluster", f"name one of {_listed(ADDONS)}")
        elif isinstance(version, str) and not _ADDON_VERSION.fullmatch(version):
            yield Fault(f"addon_versions.{name}", version, "is no version of an add-on", "write one such as v1.20.0-eksbuild.1")


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def trust(service: str) -> str:
    """Who may take a role on: one service of AWS."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


POD_IDENTITY_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            }
        ],
    }
)
""" "Create IAM role with trust policy required by EKS Pod Identity", Amazon EKS User Guide."""


def kubeconfig(name: str, endpoint: str, certificate_authority: str, region: str) -> str:
    """A kubeconfig without a secret: its user asks the AWS CLI for a token, with the credentials of whoever uses it ("Connect
    kubectl to an EKS cluster by creating a kubeconfig file", Amazon EKS User Guide). JSON is YAML."""
    asks = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"],
        "interactiveMode": "Never",
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"server": endpoint, "certificate-authority-data": certificate_authority}},
            ],
            "users": [{"name": name, "user": {"exec": asks}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        sort_keys=True,
    )


def cni_values() -> str:
    """The VPC CNI enforces NetworkPolicies ("Limit Pod traffic with Kubernetes network policies", Amazon EKS User Guide)."""
    return json.dumps({"enableNetworkPolicy": "true"})
