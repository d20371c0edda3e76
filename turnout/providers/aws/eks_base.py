"""What EKS's types share: calls, waiting for what is made and changed, tags (terraform-provider-aws internal/service/eks)."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Properties, ProviderError
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline
from turnout.providers.aws.clients import Cloud, client
from turnout.providers.aws.mapping import to_members

UPDATE_SECONDS = 3600
"""As long as resourceCluster and resourceNodeGroup wait for an update (schema.DefaultTimeout)."""
NAME = r"[0-9A-Za-z][A-Za-z0-9\-_]{0,99}"
NAME_MEANING = "1 to 100 letters, digits, - and _, beginning with a letter or digit"
MINOR = r"1\.[1-9]\d"


def shaped(cloud: Cloud, operation: str, **members: Any) -> dict[str, Any]:
    """Members of a call as boto3 wants them. What is None is left out."""
    model = client(cloud.config, "eks").meta
    shape = model.service_model.operation_model(model.method_to_api_mapping[operation]).input_shape
    return dict(to_members(shape, members))


def send(cloud: Cloud, operation: str, **members: Any) -> dict[str, Any]:
    """One call to EKS."""
    return cloud.call("eks", operation, **shaped(cloud, operation, **members))


def settle(cloud: Cloud, update: Mapping[str, Any], seconds: float = UPDATE_SECONDS, **of: str) -> None:
    """Waits for an update's end (waitClusterUpdateSuccessful, waitNodegroupUpdateSuccessful, waitAddonUpdateSuccessful).

    Raises ProviderError with AWS's reasons where it fails."""

    def done() -> bool:
        found = cloud.call("eks", "describe_update", updateId=update["id"], **of)["update"]
        if found["status"] in ("Failed", "Cancelled"):
            reasons = "; ".join(f"{one.get('errorCode')}: {one.get('errorMessage')}" for one in found.get("errors") or [])
            raise ProviderError(
                f"eks {found['type']} of {'/'.join(of.values())}: {found['status']}: {reasons or 'no reason told'}"
            )
        return bool(found["status"] == "Successful")

    Deadline(seconds, f"eks update {update['id']} of {'/'.join(of.values())}").until(done, "is not done")


def active(look: Callable[[], Mapping[str, Any]], subject: str, seconds: float, *, degraded: bool = False) -> None:
    """Waits until what `look` describes is ACTIVE (waitClusterCreated, waitNodegroupCreated, waitAddonCreated).

    `degraded`: whether DEGRADED is on the way there, as for an add-on. Raises ProviderError with its issues where it failed."""
    last: dict[str, str] = {}

    def done() -> bool:
        found = look()
        issues = (found.get("health") or {}).get("issues") or []
        last["told"] = "; ".join(f"{one.get('code')}: {one.get('message')}" for one in issues)
        if "FAILED" in found["status"] or (found["status"] == "DEGRADED" and not degraded):
            raise ProviderError(f"{subject} is {found['status']}: {last['told'] or 'no reason told'}")
        return bool(found["status"] == "ACTIVE")

    try:
        Deadline(seconds, subject).until(done, "is not ACTIVE")
    except ProviderError as error:
        told = last.get("told", "")
        raise ProviderError(f"{error}: {told}") from None if told and told not in str(error) else error


class EksType(AwsType):
    """An object of EKS: tagged by its ARN, with its tags as a map among its members."""

    arn_member: ClassVar[str]
    """The output that holds its ARN."""

    def described(self, cloud: Cloud, id: str, inputs: Properties) -> Mapping[str, Any]:
        """The object in EKS's own members. Raises NotFound."""
        raise NotImplementedError

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        arn = self._arn(cloud, id)
        if add:
            cloud.call("eks", "tag_resource", resourceArn=arn, tags=dict(add))
        if drop:
            cloud.call("eks", "untag_resource", resourceArn=arn, tagKeys=drop)

    def _arn(self, cloud: Cloud, id: str) -> str:
        return str(self.described(cloud, id, {})[self.arn_member])

    def found_by_tag(self, cloud: Cloud, id: str, inputs: Properties, token: str) -> str | None:
        """The id, where the object is the one that the create with this token made."""
        tags = self.described(cloud, id, inputs).get("tags") or {}
        return id if tags.get(INTENT_TAG) == token else None
