"""Pods and releases for the tests of environments on Kubernetes."""

from typing import Any

from component_args import SHA, manifest
from turnout_components import pod_rules

FETCHER = f"public.ecr.aws/aws-cli/aws-cli@{SHA}"
IN_IMAGE = {"name": "digits", "version": "1.0.0", "uri": "file:models/1.0.0.onnx", "sha256": SHA}


def pods(**changes: Any) -> dict[str, Any]:
    """The values of a green environment's pods with their defaults."""
    return pod_rules.with_defaults({"service": "assistant", "environment": "green", "fetch_image": FETCHER, **changes})


def in_image(**changes: Any) -> dict[str, Any]:
    """A release whose model lies in its image."""
    return manifest(model=IN_IMAGE, engine={"name": "onnxruntime", "flags": []}, **changes)
