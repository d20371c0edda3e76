"""Clients of AWS's API for the hooks: of the account, or of an emulator's endpoint with dummy keys."""

import functools
from typing import Any

LOCAL_KEY = "test"
"""Access key and secret that an emulator is given; it checks neither."""


def aws_client(service: str, region: str, endpoint_url: str | None = None) -> Any:
    """A client of boto3's kind. Without `endpoint_url` the usual credential sources apply."""
    if endpoint_url is None:
        return _session().create_client(service, region_name=region)
    from botocore.config import Config

    return _session().create_client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id=LOCAL_KEY,
        aws_secret_access_key=LOCAL_KEY,
        config=Config(connect_timeout=5, retries={"total_max_attempts": 2}),
    )


@functools.cache
def _session() -> Any:
    """Botocore's own session: what boto3 adds is not used, and takes time to import at every update."""
    import botocore.session

    return botocore.session.get_session()
