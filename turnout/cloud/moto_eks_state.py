"""What moto's EKS has no place for: access entries, pod identity associations, add-ons, updates of a cluster; its refusals.

Codes: Amazon EKS API Reference, "Common Error Types" and each operation's "Errors".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from moto.core.utils import utcnow
from moto.eks.exceptions import (
    EKSError,
    InvalidParameterException,
    InvalidRequestException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from moto.eks.models import Cluster
from moto.eks.responses import EKSResponse
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random

Members = dict[str, Any]


@dataclass
class Parts:
    """What belongs to a cluster, each with the API's members, by the key that the API asks for it."""

    updates: dict[str, Members] = field(default_factory=dict)
    entries: dict[str, Members] = field(default_factory=dict)
    """By the principal's ARN."""
    policies: dict[str, dict[str, Members]] = field(default_factory=dict)
    """By the principal's ARN and the policy's."""
    identities: dict[str, Members] = field(default_factory=dict)
    """By the association's id."""
    addons: dict[str, Members] = field(default_factory=dict)

    def clear(self) -> None:
        """Nothing of it outlives the cluster."""
        for held in vars(self).values():
            held.clear()


_parts: WeakKeyDictionary[Cluster, Parts] = WeakKeyDictionary()


def parts_of(cluster: Cluster) -> Parts:
    """What belongs to a cluster."""
    return _parts.setdefault(cluster, Parts())


def body(self: EKSResponse) -> Members:
    """The call's JSON."""
    return dict(json.loads(self.body or "{}"))


def parameter(self: EKSResponse, name: str) -> str:
    """What the call's path or query names."""
    held = self.uri_match.get(name) or (self.querystring.get(name) or [""])[0]
    return unquote(str(held))


def cluster_of(self: EKSResponse) -> Cluster:
    """The cluster that the path names.

    Raises ResourceNotFoundException."""
    return self.eks_backend.describe_cluster(parameter(self, "clusterName") or parameter(self, "name"))


def invalid(message: str) -> EKSError:
    """InvalidParameterException."""
    return InvalidParameterException(message=message)


def not_possible(message: str) -> EKSError:
    """InvalidRequestException."""
    return InvalidRequestException(message=message)


def in_use(message: str) -> EKSError:
    """ResourceInUseException: it exists, or holds something."""
    return ResourceInUseException(message=message)


def missing(message: str) -> EKSError:
    """ResourceNotFoundException."""
    return ResourceNotFoundException(message=message)


def need_role(self: EKSResponse, arn: str) -> None:
    """Raises InvalidParameterException where there is no such role in the account."""
    roles = iam_backends[self.current_account][self.partition].roles.values()
    if all(role.arn != arn for role in roles):
        raise invalid(
            f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not correct"
        )


def arn(self: EKSResponse, kind: str, *parts: str) -> str:
    """An ARN of EKS."""
    return f"arn:{self.partition}:eks:{self.region}:{self.current_account}:{kind}/{'/'.join(parts)}"


def updated(self: EKSResponse, kind: str, change: Any) -> Members:
    """A record of an update that is done, as DescribeUpdate gives it."""
    made: Members = {
        "id": str(mock_random.uuid4()),
        "status": "Successful",
        "type": kind,
        "params": [{"type": kind, "value": json.dumps(change)}],
        "createdAt": utcnow(),
        "errors": [],
    }
    parts_of(cluster_of(self)).updates[made["id"]] = made
    return made


def tagged(self: EKSResponse) -> dict[str, str]:
    """The tags of what the path's ARN names.

    Raises ResourceNotFoundException."""
    wanted = unquote(str(self.uri_match.get("resourceArn") or self.path.split("/tags/", 1)[1]))
    for cluster in self.eks_backend.clusters.values():
        held: dict[str, Any] = {cluster.arn: cluster, **{group.arn: group for group in cluster.nodegroups.values()}}
        if wanted in held:
            return _own(held[wanted])
        parts = parts_of(cluster)
        for members in (*parts.entries.values(), *parts.identities.values(), *parts.addons.values()):
            if wanted in _arns(members):
                return members.setdefault("tags", {})  # type: ignore[no-any-return]
    raise missing(f"The resource with ARN {wanted} was not found")


def _own(owner: Any) -> dict[str, str]:
    owner.tags = owner.tags or {}
    return owner.tags  # type: ignore[no-any-return]


def _arns(members: Mapping[str, Any]) -> set[Any]:
    return {members.get(name) for name in ("accessEntryArn", "associationArn", "addonArn")}
