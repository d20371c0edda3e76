"""What every section of a stack's config is made of."""

from pydantic import BaseModel, ConfigDict

PORT = "write a port from 1 to 65535"


class Section(BaseModel):
    """Each field's description says what to write there: it ends the line of a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def arn(service: str, resource: str) -> str:
    """The form of a resource's ARN."""
    return rf"^arn:aws[a-z-]*:{service}:[a-z0-9-]+:\d{{12}}:{resource}$"
