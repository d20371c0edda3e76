"""Kubernetes as an API server on this machine serves it: one implementation for every kind."""

from functools import cache

from turnout.providers.kubernetes.tokens import PREFIX, kind_of
from turnout.providers.kubernetes.types import KubernetesType


@cache
def type_of(token: str) -> KubernetesType | None:
    """The resource type of a token; None for what is none of Kubernetes', or is none that the local engine has."""
    kind = kind_of(token) if token.startswith(PREFIX) else None
    return KubernetesType(token, kind) if kind is not None else None
