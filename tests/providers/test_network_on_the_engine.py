"""Network, Ingress and NetworkLoadBalancer with all they can have: made by the local engine, found the same, and gone again."""

from pathlib import Path
from typing import Any

import boto3

from tests.engine_state.bench import Project
from tests.providers.cases_balancing import bucket, certificate
from tests.providers.conftest import World
from turnout.engine.command import LocalEngineCommand
from turnout.providers import registry
from turnout.providers.aws.clients import ENDPOINT_KEYS

PROGRAM = """
import pulumi
import pulumi_aws as aws
from turnout_components.ingress import Ingress
from turnout_components.network import Network
from turnout_components.network_load_balancer import NetworkLoadBalancer

provider = aws.Provider("aws", region="us-east-1", access_key="test", secret_key="test",
    skip_credentials_validation=True, skip_metadata_api_check=True, skip_region_validation=True,
    skip_requesting_account_id=True, endpoints=[dict.fromkeys({keys!r}, {endpoint!r})])
on = pulumi.ResourceOptions(provider=provider)
paths = dict(blue="/ready?release=sha256:aa", green="/ready")
network = Network("net", dict(cidr="10.60.0.0/16", zones=["us-east-1a", "us-east-1b"], nat="none",
    endpoints=["s3", "ecr.api", "secretsmanager"], flow_logs=dict(retention_days=7)), on)
place = dict(vpc_id=network.vpc_id, subnet_ids=network.public_subnet_ids, health_paths=paths, deletion_protection=False,
    certificate_arn={certificate!r}, access_logs=dict(bucket={bucket!r}, prefix="turnout/prod"),
    allowed_cidrs=["203.0.113.0/24"], test_cidrs=["10.60.0.0/16"])
ingress = Ingress("web", dict(**place, idle_timeout=120, server_keep_alive=135, client_keep_alive=600, cross_zone=False,
    web_acl_arn={acl!r}, record=dict(zone_id={zone!r}, name="assistant.example.com")), on)
tcp = NetworkLoadBalancer("grpc", dict(**place, internal=True, alpn_policy="HTTP2Preferred", target_port=50051,
    health_port=8000), on)
pulumi.export("web", ingress.load_balancer_arn)
pulumi.export("grpc", tcp.load_balancer_arn)
pulumi.export("vpc", network.vpc_id)
"""


def beside(world: World) -> dict[str, str]:
    """What the stack only names: certificate, bucket of logs, web ACL, hosted zone."""
    allow = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "acl"}
    acl = world.api("wafv2").create_web_acl(
        Name=world.name("acl"), Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=allow
    )
    zone = world.api("route53").create_hosted_zone(Name="example.com", CallerReference=world.name())["HostedZone"]["Id"]
    return {
        "certificate": certificate(world),
        "bucket": bucket(world),
        "acl": acl["Summary"]["ARN"],
        "zone": zone.rsplit("/", 1)[1],
    }


def test_all_of_it_is_made_found_the_same_and_gone_again(world: World, endpoint: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    options = project.options({})
    options.pulumi_command = LocalEngineCommand(project.home, registry())
    project.options = lambda _: options  # type: ignore[method-assign]
    named = beside(world)
    project.program(PROGRAM.format(endpoint=endpoint, keys=sorted(ENDPOINT_KEYS), **named))
    stack = project.stack()
    made = {name: output.value for name, output in stack.up().outputs.items()}
    stack.refresh()
    assert set(stack.up().summary.resource_changes or {}) == {"same"}

    def api(service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name="us-east-1", endpoint_url=endpoint, **keys)

    elb, ec2 = api("elbv2"), api("ec2")
    listeners = {found["Port"]: found for found in elb.describe_listeners(LoadBalancerArn=made["web"])["Listeners"]}
    assert {port: found["Protocol"] for port, found in listeners.items()} == {80: "HTTP", 8081: "HTTPS"}
    assert listeners[80]["DefaultActions"][0]["RedirectConfig"]["Port"] == "443"
    listeners = {found["Port"]: found for found in elb.describe_listeners(LoadBalancerArn=made["grpc"])["Listeners"]}
    assert {port: found["Protocol"] for port, found in listeners.items()} == {8081: "TLS", 8082: "TLS"}
    assert api("wafv2").get_web_acl_for_resource(ResourceArn=made["web"])["WebACL"]["ARN"] == named["acl"]
    records = api("route53").list_resource_record_sets(HostedZoneId=named["zone"])["ResourceRecordSets"]
    (alias,) = [record["AliasTarget"] for record in records if record["Name"] == "assistant.example.com."]
    web = elb.describe_load_balancers(LoadBalancerArns=[made["web"]])["LoadBalancers"][0]
    assert alias["DNSName"].rstrip(".") == web["DNSName"]
    endpoints = [found for found in ec2.describe_vpc_endpoints()["VpcEndpoints"] if found["VpcId"] == made["vpc"]]
    assert sorted(found["VpcEndpointType"] for found in endpoints) == ["Gateway", "Interface", "Interface"]
    (log,) = [found for found in ec2.describe_flow_logs()["FlowLogs"] if found["ResourceId"] == made["vpc"]]
    assert log["DeliverLogsStatus"] == "SUCCESS"

    stack.destroy()
    assert made["vpc"] not in [found["VpcId"] for found in ec2.describe_vpcs()["Vpcs"]]
    assert not {made["web"], made["grpc"]} & {lb["LoadBalancerArn"] for lb in elb.describe_load_balancers()["LoadBalancers"]}
