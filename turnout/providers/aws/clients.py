"""boto3 clients of the local cloud: built from an explicit provider's inputs, loopback only, shared between threads."""

import threading
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from turnout.engine.provider import NotFound, ProviderConfig, ProviderError

ENDPOINT_KEYS: Mapping[str, tuple[str, ...]] = {
    "elbv2": ("elbv2", "elb", "elasticloadbalancingv2", "elasticloadbalancing"),
    "cloudwatch": ("cloudwatch",),
    "autoscaling": ("autoscaling",),
    "iam": ("iam",),
    "ec2": ("ec2",),
    "logs": ("logs", "cloudwatchlogs", "cloudwatchlog"),
    "kms": ("kms",),
    "secretsmanager": ("secretsmanager",),
    "s3": ("s3", "s3api"),
    "ecr": ("ecr",),
    "acm": ("acm",),
    "route53": ("route53",),
    "wafv2": ("wafv2",),
    "sns": ("sns",),
    "lambda": ("lambda",),
    "scheduler": ("scheduler",),
    "eks": ("eks",),
    "sqs": ("sqs",),
    "events": ("events", "eventbridge", "cloudwatchevents"),
}
"""Where a provider's `endpoints` name a service: boto3's name and the provider's names of it."""

_GONE = ("NotFound", "NotFoundException", "NotFoundFault", "NotFoundError", "ResourceNotFound", "NonexistentItemException")
_lock = threading.Lock()
_clients: dict[tuple[str, str, str, str, str], Any] = {}


def endpoint(config: ProviderConfig, service: str) -> str:
    """The provider's endpoint of a service. Raises ProviderError unless every endpoint it names is loopback."""
    blocks = config.inputs.get("endpoints") or []
    named: dict[str, str] = {}
    for block in [blocks] if isinstance(blocks, Mapping) else blocks:
        named.update({key: url for key, url in block.items() if url})
    for key, url in named.items():
        if not _is_loopback(url):
            raise ProviderError(
                f"provider aws: endpoint {key} = {url} is not a loopback address; "
                "the local engine never calls anything else (use Pulumi for a real account)"
            )
    for key in ENDPOINT_KEYS[service]:
        if key in named:
            return named[key]
    raise ProviderError(
        f"provider aws: no endpoint for {service}; the local engine needs an explicit provider with "
        f"endpoints=[{{'{ENDPOINT_KEYS[service][0]}': 'http://127.0.0.1:<port>'}}]"
    )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@cache
def _session() -> boto3.session.Session:
    """One for all clients: a session reads the files of all of AWS's endpoints anew."""
    return boto3.session.Session()


def client(config: ProviderConfig, service: str) -> Any:
    """A client of the service, made once for each provider configuration. boto3 clients may be shared by threads."""
    inputs = config.inputs
    key = (
        service,
        endpoint(config, service),
        str(inputs.get("region") or "us-east-1"),
        str(inputs.get("accessKey") or "test"),
        str(inputs.get("secretKey") or "test"),
    )
    with _lock:
        if key not in _clients:
            _clients[key] = _session().client(
                service,
                endpoint_url=key[1],
                region_name=key[2],
                aws_access_key_id=key[3],
                aws_secret_access_key=key[4],
                config=Config(
                    connect_timeout=3,
                    read_timeout=60,
                    retries={"total_max_attempts": 2, "mode": "standard"},
                    max_pool_connections=32,
                    proxies={},
                    parameter_validation=True,
                ),
            )
        return _clients[key]


class Cloud:
    """Calls through one provider configuration; failures become ProviderError, a missing object NotFound."""

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config

    @property
    def region(self) -> str:
        return str(self.config.inputs.get("region") or "us-east-1")

    @property
    def default_tags(self) -> dict[str, str]:
        """The provider's `defaultTags`, which every taggable object gets (provider docs, "default_tags")."""
        block = self.config.inputs.get("defaultTags") or {}
        return dict(block.get("tags") or {})

    def call(self, service: str, operation: str, **members: Any) -> dict[str, Any]:
        """One API call (boto3's method name). Members that are None are left out."""
        method = getattr(client(self.config, service), operation)
        given = {name: value for name, value in members.items() if value is not None}
        try:
            return dict(method(**given))
        except ClientError as error:
            raise _translate(service, operation, error) from None
        except ResponseParserError:
            raise ProviderError(
                f"{service} {operation}: the local cloud answered with something unreadable: it does not implement this "
                "call; see `turnout local logs`"
            ) from None
        except BotoCoreError as error:
            raise ProviderError(f"{service} {operation}: {error}") from None

    def pages(self, service: str, operation: str, result: str, **members: Any) -> list[dict[str, Any]]:
        """Every element of `result` over all pages of a describe call."""
        found: list[dict[str, Any]] = []
        api = client(self.config, service)
        if not api.can_paginate(operation):
            return list(self.call(service, operation, **members).get(result) or [])
        given = {name: value for name, value in members.items() if value is not None}
        try:
            for page in api.get_paginator(operation).paginate(**given):
                found.extend(page.get(result) or [])
        except ClientError as error:
            raise _translate(service, operation, error) from None
        except BotoCoreError as error:
            raise ProviderError(f"{service} {operation}: {error}") from None
        return found


def _translate(service: str, operation: str, error: ClientError) -> ProviderError:
    details = error.response.get("Error", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    text = f"{service} {operation}: {code}: {message}"
    if code == "404" or code.startswith("NoSuch") or any(code.endswith(suffix) for suffix in _GONE):
        return NotFound(text)
    return ProviderError(text)


def error_code(error: ProviderError) -> str:
    """AWS's error code in a translated error, or ""."""
    parts = str(error).split(": ")
    return parts[1] if len(parts) > 2 else ""
