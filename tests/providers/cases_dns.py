"""Certificates, the records that prove their names, and what stands in front of a load balancer."""

from typing import Any

from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case
from turnout.engine.provider import Created, Properties

CERTIFICATE, VALIDATION = "aws:acm/certificate:Certificate", "aws:acm/certificateValidation:CertificateValidation"
RECORD, ASSOCIATION = "aws:route53/record:Record", "aws:wafv2/webAclAssociation:WebAclAssociation"


def zone(world: World) -> tuple[str, str]:
    """A public hosted zone: its id and its name."""
    name = f"{world.name('zone')}.example"
    made = world.api("route53").create_hosted_zone(Name=name, CallerReference=name)
    return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/"), name


def certificate(world: World, name: str) -> Created:
    others = [f"*.{name}", f"api.{name}"]
    return world.make(CERTIFICATE, domainName=name, subjectAlternativeNames=others, validationMethod="DNS")


def prove(world: World, zone_id: str, made: Created) -> list[str]:
    """Sets the records that a certificate asks for; a name and its wildcard share one."""
    asked = {option["resourceRecordName"]: option for option in made.outputs["domainValidationOptions"]}
    for name, option in asked.items():
        value, kind = option["resourceRecordValue"], option["resourceRecordType"]
        world.make(RECORD, zoneId=zone_id, name=name, type=kind, ttl=60, records=[value])
    return list(asked)


def validation(world: World) -> Properties:
    zone_id, name = zone(world)
    made = certificate(world, name)
    return {"certificateArn": made.id, "validationRecordFqdns": prove(world, zone_id, made)}


def record(world: World) -> Properties:
    return {"zoneId": zone(world)[0], "name": "api", "type": "A", "ttl": 60, "records": ["192.0.2.1", "192.0.2.2"]}


def alias(evaluate: bool = True) -> Properties:
    name = "turnout-1.us-east-1.elb.amazonaws.com"
    return {
        "ttl": None,
        "records": None,
        "aliases": [{"name": name, "zoneId": "Z35SXDOTRQ7X7K", "evaluateTargetHealth": evaluate}],
    }


def point_elsewhere(world: World, made: Created) -> Any:
    zone_id, name, kind = made.id.split("_")
    wanted = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": "198.51.100.1"}]}
    changes = [{"Action": "UPSERT", "ResourceRecordSet": wanted}]
    return world.api("route53").change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": changes})


def web_acl(world: World) -> str:
    name = world.name("acl")
    visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": name}
    made = world.api("wafv2").create_web_acl(
        Name=name, Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visibility
    )
    return str(made["Summary"]["ARN"])


DNS = (
    Case(
        CERTIFICATE,
        lambda w: {
            "domainName": f"{w.name('a')}.example",
            "subjectAlternativeNames": ["*.b.example", "c.example"],
            "validationMethod": "DNS",
            "tags": TAGS,
        },
        lambda _: RETAG,
        {
            "tags": lambda w, m: w.api("acm").add_tags_to_certificate(
                CertificateArn=m.id, Tags=[{"Key": "stranger", "Value": "1"}]
            )
        },
        ("arn", "status", "domainValidationOptions"),
    ),
    Case(VALIDATION, validation, stays=True),
    Case(
        RECORD,
        record,
        lambda _: [
            {"ttl": 300},
            {"records": ["192.0.2.3"]},
            alias(),
            alias(evaluate=False),
            {"aliases": None, "ttl": 5, "records": ["192.0.2.4"]},
        ],
        {"records": point_elsewhere},
        ("fqdn",),
    ),
    Case(ASSOCIATION, lambda w: {"resourceArn": w.balancer, "webAclArn": web_acl(w)}),
)
