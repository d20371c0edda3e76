"""Clients of AWS's API for the hooks: of the account, or of an emulator's endpoint with dummy keys."""

from typing import Any

LOCAL_KEY = "test"
"""Access key and secret that an emulator is given; it checks neither."""


def aws_client(service: str, region: str, endpoint_url: str | None = None) -> Any:
    """A boto3 client. Without `endpoint_url` the usual credential sources apply."""
    import boto3
    from botocore.config import Config

    if endpoint_url is None:
        return boto3.client(service, region_name=region)
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id=LOCAL_KEY,
        aws_secret_access_key=LOCAL_KEY,
        config=Config(connect_timeout=5, retries={"total_max_attempts": 2}),
    )
