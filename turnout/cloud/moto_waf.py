"""Extends moto's WAF: a resource has one web ACL."""

from moto.wafv2.models import WAFV2Backend


def extend_waf() -> None:
    """AssociateWebACL (AWS WAFV2 API Reference): a resource under one web ACL moves to the other; moto leaves it under both."""
    associate = WAFV2Backend.associate_web_acl

    def associate_web_acl(self: WAFV2Backend, web_acl_arn: str, resource_arn: str) -> None:
        if web_acl_arn in self.wacls:
            self.disassociate_web_acl(resource_arn)
        associate(self, web_acl_arn, resource_arn)

    WAFV2Backend.associate_web_acl = associate_web_acl  # type: ignore[method-assign]
