"""Which control plane and which custom resources the local cluster and the tests use, and the key of their cache."""

import hashlib
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass

KUBERNETES = "1.36.3"
ETCD = "3.6.5"
KWOK = "0.7.0"
"""Makes nodes and pods ready without a kubelet."""


@dataclass(frozen=True)
class Edit:
    """A line of a module's file that is built as another. `before` is there exactly once."""

    file: str
    before: str
    after: str


@dataclass(frozen=True)
class CrdModule:
    """A released Go module with CustomResourceDefinitions in it."""

    name: str
    module: str
    version: str
    sum: str
    """What `go mod download -json` calls Sum: the hash of the module's files."""
    files: str
    """A pattern below the module's folder."""


@dataclass(frozen=True)
class GoPart:
    """Programs that one go.mod of tools/kubernetes pins."""

    folder: str
    module: str
    version: str
    packages: Mapping[str, str]
    """The package of each program."""
    edits: tuple[Edit, ...] = ()
    """Of a module that is its own package, by a `replace`: what is built other than it was released."""
    linked: str = ""
    """The variable that tells the program its version."""
    definitions: CrdModule | None = None
    """Of an optional part: its custom resources, which come into `crds` beside its programs."""


GO_PARTS = (
    GoPart("etcd", "go.etcd.io/etcd/server/v3", ETCD, {"etcd": "go.etcd.io/etcd/server/v3"}),
    GoPart(
        "control-plane",
        "k8s.io/kubernetes",
        KUBERNETES,
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")},
    ),
    GoPart("kwok", "sigs.k8s.io/kwok", KWOK, {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
)
PROGRAMS = tuple(program for part in GO_PARTS for program in part.packages)

LOAD_BALANCER_CONTROLLER = GoPart(
    "load-balancer-controller",
    "github.com/kubernetes-sigs/aws-load-balancer-controller",
    "0.0.0-20260423195125-93ff3b5fdaad",
    {"aws-load-balancer-controller": "sigs.k8s.io/aws-load-balancer-controller"},
    # Its webhooks listen on every interface otherwise, and no flag says where.
    (
        Edit(
            "pkg/config/runtime_config.go",
            "Port:     rtCfg.WebhookBindPort,",
            'Host: "127.0.0.1", Port: rtCfg.WebhookBindPort,',
        ),
    ),
)
_ARGO = "github.com/argoproj/argo-rollouts"
ARGO_ROLLOUTS = GoPart(
    "argo-rollouts",
    _ARGO,
    "1.8.3",
    {"rollouts-controller": f"{_ARGO}/cmd/rollouts-controller"},
    linked=f"{_ARGO}/utils/version.version",
    definitions=CrdModule(
        "argo-rollouts", _ARGO, "v1.8.3", "h1:blbtQva4IK9r6gFh+dWkCrLnFdPOWiv9ubQYu36qeaA=", "manifests/crds/*.yaml"
    ),
)
OPTIONAL_PARTS = (LOAD_BALANCER_CONTROLLER, ARGO_ROLLOUTS)
"""What is built on request only (`python -m tools.kubernetes <folder>`), each into a folder of its own."""


CRD_MODULES = (
    CrdModule(
        "gateway-api",
        "sigs.k8s.io/gateway-api",
        "v1.6.3",
        "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
        "config/crd/standard/*.yaml",
    ),
    CrdModule(
        "karpenter",
        "sigs.k8s.io/karpenter",
        "v1.14.0",
        "h1:+SXlqYNb9FIKRpDgPPRnphVmWbrWLw4tgzKezr372Mc=",
        "pkg/apis/crds/*.yaml",
    ),
    CrdModule(
        "karpenter-aws",
        "github.com/aws/karpenter-provider-aws",
        "v1.14.1",
        "h1:WGtIQTQcxpElYMdWfWuPwaF2+9muR+hYhPZsTtoY8Gs=",
        "pkg/apis/crds/karpenter.k8s.aws_*.yaml",
    ),
    CrdModule(
        "keda",
        "github.com/kedacore/keda/v2",
        "v2.21.0",
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        "config/crd/bases/keda.sh_*.yaml",
    ),
    CrdModule(
        "external-secrets",
        "github.com/external-secrets/external-secrets",
        "v1.3.2",
        "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
        "config/crds/bases/external-secrets.io_*.yaml",
    ),
    CrdModule(
        "aws-load-balancer-controller",
        "github.com/kubernetes-sigs/aws-load-balancer-controller",
        "v0.0.0-20260423195125-93ff3b5fdaad",
        "h1:sttxR+rS5X6cS1ldieB5JKVucs61EHq8XO7VKySyU5w=",
        "config/crd/bases/*.yaml",
    ),
    CrdModule(
        "leader-worker-set",
        "sigs.k8s.io/lws",
        "v0.7.0",
        "h1:qWfzX8+UBak+Hq0+m/PuE3uO0mp/3dmm5q/h/7z31A8=",
        "config/crd/bases/*.yaml",
    ),
)


def key() -> str:
    """Names the cache folder of these versions on this kind of machine; other versions are another folder."""
    pinned = [f"{part.module} {part.version}" for part in GO_PARTS]
    pinned += [f"{module.module} {module.version} {module.sum} {module.files}" for module in CRD_MODULES]
    digest = hashlib.sha256("\n".join([sys.platform, platform.machine(), *pinned]).encode()).hexdigest()
    return f"{KUBERNETES}-{digest[:12]}"
