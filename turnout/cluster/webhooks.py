"""The webhooks of the AWS Load Balancer Controller, registered as its Helm chart does (`templates/webhook.yaml`).

Source: "Dynamic Admission Control", Kubernetes; "Pod readiness gate", AWS Load Balancer Controller.
"""

import base64
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightkube import Client

from turnout.cluster.certificates import Authority
from turnout.cluster.watching import Kind, kind

PODS = "/mutate-v1-pod"
_BINDINGS = "elbv2-k8s-aws-v1beta1-targetgroupbinding"
_INJECT = "elbv2.k8s.aws/pod-readiness-gate-inject"
_GROUP = "admissionregistration.k8s.io"
_MUTATING = kind(_GROUP, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False)
_VALIDATING = kind(_GROUP, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False)
_NAME = "aws-load-balancer-webhook"


def certify(folder: Path) -> Path:
    """`tls.crt` and `tls.key` of a server on 127.0.0.1, signed by an authority of its own, whose certificate is returned."""
    authority = Authority(folder, datetime.datetime.now(datetime.UTC))
    authority.issue("tls", "aws-load-balancer-webhook")
    return authority.certificate


def register_gates(client: Client, url: str, authority: Path) -> None:
    """New pods of namespaces with the controller's label are shown to the server at `url`; when it is gone they are made all
    the same."""
    _apply(client, _MUTATING, [_pods(url, authority)])


def register_all(client: Client, url: str, authority: Path) -> None:
    """The same, and bindings are completed and checked."""
    _apply(client, _MUTATING, [_pods(url, authority), _bindings("mutate", url, authority)])
    _apply(client, _VALIDATING, [_bindings("validate", url, authority)])


def _pods(url: str, authority: Path) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    selector = {"matchExpressions": [{"key": _INJECT, "operator": "In", "values": ["enabled"]}]}
    webhook = _webhook("mpod.elbv2.k8s.aws", url + PODS, authority, rule, "Ignore")
    return {**webhook, "namespaceSelector": selector}


def _bindings(verb: str, url: str, authority: Path) -> dict[str, Any]:
    rule = {
        "apiGroups": ["elbv2.k8s.aws"],
        "apiVersions": ["v1beta1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["targetgroupbindings"],
    }
    return _webhook(f"{verb[0]}targetgroupbinding.elbv2.k8s.aws", f"{url}/{verb}-{_BINDINGS}", authority, rule, "Fail")


def _webhook(name: str, url: str, authority: Path, rule: Mapping[str, Any], failure: str) -> dict[str, Any]:
    bundle = base64.b64encode(authority.read_bytes()).decode()
    return {
        "name": name,
        "clientConfig": {"url": url, "caBundle": bundle},
        "rules": [rule],
        "failurePolicy": failure,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1beta1"],
    }


def _apply(client: Client, what: Kind, webhooks: list[dict[str, Any]]) -> None:
    found = {"apiVersion": f"{_GROUP}/v1", "kind": what.name, "metadata": {"name": _NAME}, "webhooks": webhooks}
    client.apply(what.main(found), force=True)
