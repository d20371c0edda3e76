"""Extends moto's load balancers where they do not take what a network load balancer has.

Sources: Elastic Load Balancing API Reference, "ModifyListener", "ModifyTargetGroup", "DeleteLoadBalancer".
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeListener, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response

_SECURE = ("HTTPS", "TLS")
_CODES = 7
"""The place of the codes among the arguments of moto's `modify_target_group`, after the ARN."""


def extend_balancing() -> None:
    """Listeners change to TLS and ALPN, checks of TCP groups their codes, and deletion protection protects."""
    _extend_listeners()
    _extend_checks()
    _extend_deletion()


def _extend_listeners() -> None:
    modify = ELBv2Backend.modify_listener
    respond = ELBV2Response.modify_listener

    def modify_listener(
        self: ELBv2Backend,
        arn: str,
        port: str | None = None,
        protocol: str | None = None,
        ssl_policy: str | None = None,
        certificates: list[dict[str, Any]] | None = None,
        actions: list[dict[str, Any]] | None = None,
    ) -> FakeListener:
        """ "ModifyListener": moto knows no TLS, and keeps the certificate of a listener that has become plain."""
        plainly = "TCP" if protocol == "TLS" else protocol
        listener = modify(self, arn, port, plainly, ssl_policy, certificates or [], actions or [])
        if protocol == "TLS":
            if not (certificates or listener.certificates):
                raise ELBClientError("CertificateNotFound", "A TLS listener needs a certificate")
            listener.protocol = protocol
            if certificates:
                listener.certificate = certificates[0]["CertificateArn"]
                listener.certificates = [certificate["CertificateArn"] for certificate in certificates]
        elif listener.protocol not in _SECURE:
            listener.certificate, listener.certificates = None, []
        return listener

    def answer(self: ELBV2Response) -> ActionResult:
        """ "ModifyListener", AlpnPolicy: None takes it off."""
        result = respond(self)
        wanted = self._get_param("AlpnPolicy", [])
        if wanted:
            (listener,) = self.elbv2_backend.describe_listeners(None, [self._get_param("ListenerArn")])
            listener.alpn_policy = [] if wanted == ["None"] else list(wanted)
        return result

    ELBv2Backend.modify_listener = modify_listener  # type: ignore[method-assign]
    ELBV2Response.modify_listener = answer  # type: ignore[method-assign]


def _extend_checks() -> None:
    modify = ELBv2Backend.modify_target_group

    def modify_target_group(self: ELBv2Backend, arn: str, *args: Any, **members: Any) -> FakeTargetGroup:
        """ "ModifyTargetGroup", Matcher: moto changes the codes of HTTP and HTTPS groups only."""
        group = modify(self, arn, *args, **members)
        codes = members.get("http_codes", args[_CODES] if len(args) > _CODES else None)
        if codes is not None and group.health_check_protocol in ("HTTP", "HTTPS"):
            group.matcher = {**(getattr(group, "matcher", None) or {}), "HttpCode": codes}
        return group

    ELBv2Backend.modify_target_group = modify_target_group  # type: ignore[method-assign]


def _extend_deletion() -> None:
    delete = ELBv2Backend.delete_load_balancer

    def delete_load_balancer(self: ELBv2Backend, arn: str) -> None:
        """ "DeleteLoadBalancer": refused under deletion protection, which moto stores only."""
        found = self.load_balancers.get(arn)
        if found is not None and str(found.attrs.get("deletion_protection.enabled")).lower() == "true":
            raise ELBClientError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled; "
                "set deletion_protection.enabled to false first",
            )
        delete(self, arn)

    ELBv2Backend.delete_load_balancer = delete_load_balancer  # type: ignore[method-assign]
