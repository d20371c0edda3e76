"""An EKS cluster that exists, looked up by its name. The program invokes nothing (ADR 0004): who has an account asks first."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

_USABLE = ("ACTIVE", "UPDATING")


class EksError(Exception):
    """There is no such cluster, or none that can be used."""


def look_up(eks: Any, name: str) -> dict[str, str]:
    """`endpoint`, `certificate_authority` and `security_group_id` of the cluster, as `EksCluster` takes them with `exists`.

    Raises `EksError` where it is not there, not ready, or knows no access entries, on which its users' rights rest."""
    try:
        found: Mapping[str, Any] = eks.describe_cluster(name=name)["cluster"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
            raise EksError(f"EKS cluster {name}: there is none in the region; write its name, or a version") from None
        raise EksError(f"EKS cluster {name} cannot be read: {error}; check credentials and rights") from None
    except BotoCoreError as error:
        raise EksError(f"EKS cluster {name} cannot be read: {error}; check credentials and network") from None
    if found["status"] not in _USABLE:
        raise EksError(f"EKS cluster {name} is {found['status']}; wait until it is ACTIVE")
    mode = (found.get("accessConfig") or {}).get("authenticationMode", "CONFIG_MAP")
    if mode == "CONFIG_MAP":
        why = "its authentication mode is CONFIG_MAP, so access entries are not there"
        raise EksError(f"EKS cluster {name}: {why}; change it to API_AND_CONFIG_MAP or API")
    return {
        "endpoint": str(found["endpoint"]),
        "certificate_authority": str(found["certificateAuthority"]["data"]),
        "security_group_id": str(found["resourcesVpcConfig"]["clusterSecurityGroupId"]),
    }
