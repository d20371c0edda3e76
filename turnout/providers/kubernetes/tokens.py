"""Pulumi's tokens of Kubernetes objects: `kubernetes:apps/v1:Deployment`, `kubernetes:core/v1:Service`, and those of custom
resources, which have the same form (`pulumi_kubernetes.apiextensions.CustomResource`)."""

import re
from dataclasses import dataclass

PREFIX = "kubernetes:"
_TOKEN = re.compile(r"kubernetes:(?P<group>[a-z0-9.-]+)/(?P<version>v[0-9]+(?:(?:alpha|beta)[0-9]+)?):(?P<kind>[A-Z]\w*)")
_OTHER_MACHINERY = frozenset({"helm.sh", "kustomize", "yaml", "meta", "index"})
"""Groups of the package that are no objects of an API server: charts, overlays, files of manifests."""

_CLUSTER_SCOPED = frozenset(
    {
        "APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterEC2NodeClass", "ClusterExternalSecret",
        "ClusterGenerator", "ClusterPolicy", "ClusterPushSecret", "ClusterRole", "ClusterRoleBinding", "ClusterSecretStore",
        "ClusterTriggerAuthentication", "CustomResourceDefinition", "DeviceClass", "EC2NodeClass", "FlowSchema",
        "GatewayClass", "IngressClass", "MutatingWebhookConfiguration", "NVIDIADriver", "Namespace", "Node", "NodeClaim",
        "NodeOverlay", "NodePool", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration", "ResourceSlice",
        "RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration", "VolumeAttachment",
    }
)  # fmt: skip
"""Kinds without a namespace, for where no API server can be asked ("Kubernetes API Concepts", Kubernetes: Resource URIs; of
custom ones their definitions)."""


@dataclass(frozen=True)
class Kind:
    """What an object is: `apps/v1` and `Deployment`; core objects have the API version `v1`."""

    group: str
    """"" for core."""
    version: str
    name: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """Where the API server serves this group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def is_assumed_namespaced(self) -> bool:
        """As far as it is known without an API server; one that knows better corrects it at the create (`Check`, provider.go
        of pulumi-kubernetes)."""
        return self.name not in _CLUSTER_SCOPED

    def __str__(self) -> str:
        return self.name


def kind_of(token: str) -> Kind | None:
    """The kind that a type token means; None for what is no single object: lists, patches of others' objects, charts, overlays
    and files of manifests, which the local engine lacks."""
    found = _TOKEN.fullmatch(token)
    if found is None or found["group"] in _OTHER_MACHINERY or found["kind"].endswith(("List", "Patch")):
        return None
    return Kind("" if found["group"] == "core" else found["group"], found["version"], found["kind"])
