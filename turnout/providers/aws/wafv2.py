"""Association of a web ACL (terraform-provider-aws internal/service/wafv2/web_acl_association.go)."""

from collections.abc import Mapping

from turnout.engine.provider import Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline
from turnout.providers.aws.clients import Cloud

_PROTECTED = (
    r"arn:aws[\w-]*:(?:elasticloadbalancing:[^:]*:\d*:loadbalancer/app/.+|apigateway:.+/restapis/.+/stages/.+|appsync:.+|"
    r"cognito-idp:.+|apprunner:.+|ec2:.+:verified-access-instance/.+|amplify:.+)"
)


class WebAclAssociation(AwsType):
    """aws_wafv2_web_acl_association: the id is `<web ACL>,<resource>`. A resource has one web ACL, so that the old association
    ends before another begins."""

    token = "aws:wafv2/webAclAssociation:WebAclAssociation"
    inputs = frozenset({"resourceArn", "webAclArn"})
    replace_on = frozenset({"resourceArn", "webAclArn"})
    delete_before_replace = True

    def check(self, inputs: Properties) -> list[Fault]:
        """ "AssociateWebACL" (AWS WAFV2 API Reference)."""
        faults = rules.required(inputs, "resourceArn", "webAclArn")
        faults += rules.matches(
            inputs,
            "webAclArn",
            r"arn:aws[\w-]*:wafv2:[^:]+:\d+:regional/webacl/.+",
            "a regional web ACL; one for CloudFront is named in the distribution",
            "AssociateWebACL",
        )
        meaning = "an Application Load Balancer, or another regional resource that WAF protects"
        return faults + rules.matches(inputs, "resourceArn", _PROTECTED, meaning, "AssociateWebACL")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        cloud.call("wafv2", "associate_web_acl", WebACLArn=inputs["webAclArn"], ResourceArn=inputs["resourceArn"])
        return f"{inputs['webAclArn']},{inputs['resourceArn']}"

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """Nothing of it changes in place."""

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        """findWebACLByResourceARN: a resource under another web ACL has lost this one."""
        acl, resource = id.split(",", 1)
        found = cloud.call("wafv2", "get_web_acl_for_resource", ResourceArn=resource).get("WebACL")
        return {"webAclArn": acl, "resourceArn": resource} if found and found["ARN"] == acl else None

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = f"{inputs['webAclArn']},{inputs['resourceArn']}"
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """DisassociateWebACL takes away whichever there is: another's stays."""
        if self.look(cloud, id, inputs) is not None:
            cloud.call("wafv2", "disassociate_web_acl", ResourceArn=id.split(",", 1)[1])


TYPES = (WebAclAssociation(),)
