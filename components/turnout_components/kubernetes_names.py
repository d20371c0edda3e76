"""Names, labels and ids of a service's objects on Kubernetes."""

from dataclasses import dataclass

NAME_LABEL = "app.kubernetes.io/name"
"""The service."""
ENVIRONMENT_LABEL = "turnout.dev/environment"
RELEASE_LABEL = "turnout.dev/release"
"""The first 16 hex digits of the release's digest: a label holds 63 characters ("Labels and Selectors", Kubernetes)."""
WORKLOAD_LABEL = "turnout.dev/workload"
"""On a step-down's CronJob and its pods: a part of the hash of the workload that it steps down."""
MANIFEST_ANNOTATION = "turnout.dev/release-manifest"
"""The release's manifest as JSON, on its pods."""
BOOT_ANNOTATION = "turnout.dev/boot"
"""Seconds of each stage of a boot in the local cluster as JSON, on its pods; elsewhere unused."""
COMPONENT_LABEL = "app.kubernetes.io/component"
"""`SERVER` for pods that answer requests; `WORKER` for those that only hold a part of a model for one that does."""
SERVER, WORKER = "server", "worker"
TEST_HEADER = "x-turnout-environment"
"""The request header by which tests choose an environment, on every platform."""
SERVICE_PORT = 80
"""Of the Service in front of an environment; its pods' port is called `http`, whatever its number."""


@dataclass(frozen=True)
class ObjectId:
    """An object as the switch record names it: `HTTPRoute/assistant/assistant`."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "ObjectId":
        """Raises `ValueError` where the text is no such id."""
        kind, namespace, name = text.split("/")
        return cls(kind, namespace, name)


def release_label(digest: str) -> str:
    """The label's value for `sha256:…`."""
    return digest.removeprefix("sha256:")[:16]


def environment_labels(service: str, environment: str) -> dict[str, str]:
    """What marks every object of an environment."""
    return {NAME_LABEL: service, ENVIRONMENT_LABEL: environment}


def server_labels(service: str, environment: str) -> dict[str, str]:
    """What selects the pods that answer an environment's requests, whatever their release."""
    return {**environment_labels(service, environment), COMPONENT_LABEL: SERVER}


def workload_name(service: str, environment: str, digest: str) -> str:
    """The workload of a release in an environment: another release is another workload."""
    return f"{service}-{environment}-{digest.removeprefix('sha256:')[:8]}"


def service_name(service: str, environment: str) -> str:
    """The Service in front of an environment, whatever its release."""
    return f"{service}-{environment}"


def route_name(service: str) -> str:
    """The HTTPRoute that the switch owns."""
    return service


def route_name_for_tests(service: str) -> str:
    """The HTTPRoute that reaches either environment by header."""
    return f"{service}-test"
