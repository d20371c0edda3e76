"""Certificates, records and web ACLs: what AWS refuses of them, and what waits for what."""

import pytest

from tests.providers.cases_dns import (
    ASSOCIATION,
    CERTIFICATE,
    RECORD,
    VALIDATION,
    alias,
    certificate,
    point_elsewhere,
    prove,
    record,
    web_acl,
    zone,
)
from tests.providers.conftest import TYPES, World
from turnout.engine.provider import Properties, ProviderError

NAMED: Properties = {"zoneId": "Z", "name": "api", "type": "A", "ttl": 60, "records": ["192.0.2.1"]}
TARGET = {"name": "lb.example", "zoneId": "Z", "evaluateTargetHealth": False}
ALIAS: Properties = {"zoneId": "Z", "name": "api", "type": "A", "aliases": [TARGET]}
ACL = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/a/1"
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/lb/1"


def asked(name: str, *others: str) -> Properties:
    return {"domainName": name, "validationMethod": "DNS", "subjectAlternativeNames": list(others)}


REFUSED: tuple[tuple[str, Properties, str], ...] = (
    (CERTIFICATE, {"domainName": "a.example"}, "validationMethod"),
    (CERTIFICATE, {**asked("a.example"), "validationMethod": "EMAIL"}, "validationMethod"),
    *((CERTIFICATE, asked(name), "domainName") for name in ("example", "a.*.example", "-a.example", "a..example")),
    (CERTIFICATE, asked(f"{'a' * 60}.example"), "domainName"),
    (CERTIFICATE, asked("a.example", "b.example", "c_d.example"), "subjectAlternativeNames[1]"),
    (CERTIFICATE, asked("a.example", *(f"a{index}.example" for index in range(101))), "subjectAlternativeNames"),
    (VALIDATION, {}, "certificateArn"),
    (RECORD, {**NAMED, "type": "B"}, "type"),
    (RECORD, {**NAMED, "ttl": None}, "ttl"),
    (RECORD, {**NAMED, "ttl": -1}, "ttl"),
    (RECORD, {**NAMED, "aliases": [TARGET]}, "records"),
    (RECORD, {**ALIAS, "aliases": None}, "records"),
    (RECORD, {**ALIAS, "ttl": 60}, "ttl"),
    (RECORD, {**ALIAS, "aliases": [TARGET, TARGET]}, "aliases"),
    (RECORD, {**ALIAS, "aliases": [{"name": "lb.example", "zoneId": "Z"}]}, "aliases[0].evaluateTargetHealth"),
    (RECORD, {**NAMED, "records": []}, "records"),
    (RECORD, {**NAMED, "records": ["192.0.2.1", "192.0.2.1"]}, "records"),
    (RECORD, {**NAMED, "records": ["2001:db8::1"]}, "records[0]"),
    (RECORD, {**NAMED, "type": "AAAA"}, "records[0]"),
    (RECORD, {**NAMED, "type": "CNAME", "records": ["a.example", "b.example"]}, "records"),
    (ASSOCIATION, {"resourceArn": BALANCER, "webAclArn": ACL.replace("regional", "global")}, "webAclArn"),
    (ASSOCIATION, {"resourceArn": BALANCER.replace("/app/", "/net/"), "webAclArn": ACL}, "resourceArn"),
)
GOOD: tuple[tuple[str, Properties], ...] = (
    (CERTIFICATE, asked("*.a.example", f"{'a' * 63}.{'b' * 63}.example")),
    (RECORD, NAMED),
    (RECORD, ALIAS),
    (RECORD, {**NAMED, "type": "AAAA", "records": ["2001:db8::1"]}),
    (RECORD, {**NAMED, "type": "TXT", "records": ["a", "b"]}),
    (ASSOCIATION, {"resourceArn": BALANCER, "webAclArn": ACL}),
)


@pytest.mark.parametrize(("token", "inputs", "property"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_aws_refuses_of_names_is_a_fault(token: str, inputs: Properties, property: str) -> None:
    given = {name: value for name, value in inputs.items() if value is not None}
    assert property in [fault.property for fault in TYPES[token].check(given)]


@pytest.mark.parametrize(("token", "inputs"), GOOD, ids=lambda value: str(value)[:60])
def test_good_names_have_no_fault(token: str, inputs: Properties) -> None:
    assert TYPES[token].check(inputs) == []


def test_a_certificate_is_issued_when_its_records_stand_and_the_wait_for_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone_id, name = zone(world)
    made = certificate(world, name)
    kind, inputs = TYPES[VALIDATION], {"certificateArn": made.id}
    assert made.outputs["status"] == "PENDING_VALIDATION"
    assert made.outputs["domainValidationOptions"][0]["domainName"] == name
    monkeypatch.setattr(type(kind), "patience", 0.3)
    with pytest.raises(ProviderError, match="is not issued after 0.3 s"):
        kind.create(world.config, inputs, "t" * 32)
    assert kind.find(world.config, inputs, "t" * 32) is None
    prove(world, zone_id, made)
    assert kind.create(world.config, inputs, "t" * 32).id == made.id
    observed = TYPES[CERTIFICATE].read(world.config, made.id, {}, made.outputs)
    assert observed is not None
    assert observed.outputs["status"] == "ISSUED"


def test_a_validation_that_leaves_out_a_record_is_refused_at_once(world: World) -> None:
    zone_id, name = zone(world)
    made = certificate(world, name)
    records = prove(world, zone_id, made)
    with pytest.raises(ProviderError, match="missing in validationRecordFqdns"):
        TYPES[VALIDATION].create(world.config, {"certificateArn": made.id, "validationRecordFqdns": records[1:]}, "t" * 32)


def test_a_record_that_exists_is_only_overwritten_when_a_program_says_so(world: World) -> None:
    inputs, kind = record(world), TYPES[RECORD]
    made = world.make(RECORD, **inputs)
    other = {**inputs, "records": ["192.0.2.9"]}
    with pytest.raises(ProviderError, match="InvalidChangeBatch.*allowOverwrite"):
        kind.create(world.config, other, "t" * 32)
    assert kind.create(world.config, {**other, "allowOverwrite": True}, "t" * 32).id == made.id
    observed = kind.read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    assert observed.inputs["records"] == ["192.0.2.9"]


def test_no_cname_stands_at_the_name_of_its_zone_and_none_in_a_zone_that_is_not_there(world: World) -> None:
    zone_id, name = zone(world)
    inputs = {"zoneId": zone_id, "name": name.upper(), "type": "CNAME", "ttl": 60, "records": ["a.example"]}
    with pytest.raises(ProviderError, match="no CNAME may stand"):
        TYPES[RECORD].create(world.config, inputs, "t" * 32)
    with pytest.raises(ProviderError, match="NoSuchHostedZone"):
        TYPES[RECORD].create(world.config, {**NAMED, "zoneId": "ZNOTTHERE"}, "t" * 32)


@pytest.mark.parametrize("form", ["api", "API.{zone}", "api.{zone}.", "*.{zone}"])
def test_a_record_s_name_keeps_the_form_in_which_it_was_declared(world: World, form: str) -> None:
    zone_id, name = zone(world)
    inputs = {**NAMED, "zoneId": zone_id, "name": form.format(zone=name)}
    made = world.make(RECORD, **inputs)
    assert made.outputs["name"] == inputs["name"]
    assert made.outputs["fqdn"] == f"{form[0].lower()}{'pi' * (form[0] != '*')}.{name}"


def test_a_text_is_quoted_for_route_53_only(world: World) -> None:
    inputs = {**NAMED, "zoneId": zone(world)[0], "type": "TXT", "records": ["v=spf1 -all", "second"]}
    made = world.make(RECORD, **inputs)
    assert made.outputs["records"] == inputs["records"]
    held = world.api("route53").list_resource_record_sets(HostedZoneId=inputs["zoneId"])["ResourceRecordSets"]
    values = [value["Value"] for item in held if item["Type"] == "TXT" for value in item["ResourceRecords"]]
    assert values == ['"v=spf1 -all"', '"second"']


def test_an_alias_s_target_has_no_case_and_may_say_dualstack(world: World) -> None:
    declared = {**ALIAS, "zoneId": zone(world)[0], "aliases": [{**TARGET, "name": "dualstack.LB.Example"}]}
    made = world.make(RECORD, **declared)
    live = world.api("route53")
    name = made.outputs["fqdn"]
    target = {"DNSName": "lb.example.", "HostedZoneId": "Z", "EvaluateTargetHealth": False}
    changes = [{"Action": "UPSERT", "ResourceRecordSet": {"Name": name, "Type": "A", "AliasTarget": target}}]
    live.change_resource_record_sets(HostedZoneId=declared["zoneId"], ChangeBatch={"Changes": changes})
    observed = TYPES[RECORD].read(world.config, made.id, declared, made.outputs)
    assert observed is not None
    assert observed.inputs == declared


def test_an_alias_that_became_plain_shows_as_drift(world: World) -> None:
    inputs = {name: value for name, value in {**record(world), **alias()}.items() if value is not None}
    made = world.make(RECORD, **inputs)
    point_elsewhere(world, made)
    observed = TYPES[RECORD].read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    assert observed.inputs != inputs


def test_a_resource_that_moved_to_another_web_acl_has_lost_this_one_and_keeps_the_other(world: World) -> None:
    kind, inputs = TYPES[ASSOCIATION], {"resourceArn": world.balancer, "webAclArn": web_acl(world)}
    made = world.make(ASSOCIATION, **inputs)
    other = web_acl(world)
    world.api("wafv2").associate_web_acl(WebACLArn=other, ResourceArn=world.balancer)
    assert kind.read(world.config, made.id, inputs, made.outputs) is None
    kind.delete(world.config, made.id, inputs, made.outputs, 5)
    assert world.api("wafv2").get_web_acl_for_resource(ResourceArn=world.balancer)["WebACL"]["ARN"] == other
