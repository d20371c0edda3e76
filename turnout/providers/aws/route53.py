"""Record of a hosted zone (terraform-provider-aws internal/service/route53/record.go): plain or an alias, without routing
policies."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, ClassVar

from turnout.engine.provider import Fault, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, known
from turnout.providers.aws.clients import Cloud

_COMMON_TYPES = {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SPF", "SRV", "TXT"}
_TYPES = _COMMON_TYPES | {"DS", "HTTPS", "NAPTR", "SSHFP", "SVCB", "TLSA"}
_QUOTED = {"SPF", "TXT"}
_VERSIONS = {"A": 4, "AAAA": 6}
_LONGEST_TTL = 2_147_483_647


class Record(AwsType):
    """aws_route53_record: the id is `<zone>_<name>_<type>` (createRecordImportID)."""

    token = "aws:route53/record:Record"
    inputs = frozenset({"aliases", "allowOverwrite", "name", "records", "ttl", "type", "zoneId"})
    replace_on = frozenset({"name", "type", "zoneId"})
    defaults: ClassVar[Mapping[str, Any]] = {"aliases": None, "records": None, "ttl": None}

    def check(self, inputs: Properties) -> list[Fault]:
        """ "ResourceRecordSet", "AliasTarget" (Amazon Route 53 API Reference); "Supported DNS record types" (Amazon Route 53
        Developer Guide); resourceRecord: ExactlyOneOf, RequiredWith, ConflictsWith."""
        faults = rules.required(inputs, "name", "type", "zoneId")
        faults += rules.one_of(inputs, "type", _TYPES, "ResourceRecordSet")
        faults += rules.between(inputs, "ttl", 0, _LONGEST_TTL, "ResourceRecordSet")
        aliases, records, ttl = inputs.get("aliases"), inputs.get("records"), inputs.get("ttl")
        if (aliases is None) == (records is None):
            faults.append(Fault("records", "needs one of aliases and records, not both (ResourceRecordSet)"))
        if aliases is not None and ttl is not None:
            faults.append(Fault("ttl", "is the alias target's own (AliasTarget)"))
        if records is not None and ttl is None:
            faults.append(Fault("ttl", "is required with records (ResourceRecordSet)"))
        if isinstance(aliases, list):
            faults += _alias_faults(aliases)
        return faults + (_value_faults(inputs.get("type"), records) if isinstance(records, list) else [])

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """resourceRecordCreate: CREATE, or UPSERT with allowOverwrite."""
        zone, kind = str(inputs["zoneId"]), str(inputs["type"])
        name, apex = full_name(cloud, zone, inputs["name"])
        if kind == "CNAME" and name == apex:
            raise ProviderError(
                f"route53 change_resource_record_sets: InvalidChangeBatch: {name} is its zone's own name, where no CNAME may "
                "stand (Supported DNS record types); use an alias record of type A"
            )
        if _find(cloud, zone, name, kind) and inputs.get("allowOverwrite") is not True:
            raise ProviderError(
                f"route53 change_resource_record_sets: InvalidChangeBatch: {kind} {name} exists in zone {zone}; import it, or "
                "set allowOverwrite"
            )
        _change(cloud, zone, "UPSERT", _wanted(inputs, name))
        return f"{zone}_{name}_{kind}"

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and old != new:
            zone, name, _ = _parts(id)
            _change(cloud, zone, "UPSERT", _wanted(new, name))

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        zone, name, kind = _parts(id)
        found = _find(cloud, zone, name, kind)
        if found is None:
            return None
        declared = str(inputs.get("name") or name)
        alias = found.get("AliasTarget")
        return {
            "zoneId": zone,
            "name": declared if full_name(cloud, zone, declared)[0] == name else name,
            "type": kind,
            "ttl": found.get("TTL"),
            "records": None if alias else [_plain(kind, record["Value"]) for record in found.get("ResourceRecords") or []],
            "aliases": [_alias(alias, inputs.get("aliases"))] if alias else None,
            "fqdn": name,
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        zone, kind = str(inputs["zoneId"]), str(inputs["type"])
        name, _ = full_name(cloud, zone, inputs["name"])
        return f"{zone}_{name}_{kind}" if _find(cloud, zone, name, kind) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceRecordDelete: DELETE wants the record as it is."""
        zone, name, kind = _parts(id)
        found = _find(cloud, zone, name, kind)
        if found is not None:
            _change(cloud, zone, "DELETE", found)


def _parts(id: str) -> tuple[str, str, str]:
    zone, rest = id.split("_", 1)
    name, kind = rest.rsplit("_", 1)
    return zone, name, kind


def full_name(cloud: Cloud, zone: str, name: str) -> tuple[str, str]:
    """The record's whole name and its zone's, in small letters and without the last dot (expandRecordName). Raises NotFound
    where the zone is not there."""
    apex = _clean(cloud.call("route53", "get_hosted_zone", Id=zone)["HostedZone"]["Name"])
    given = _clean(name)
    return (given if given == apex or given.endswith(f".{apex}") else f"{given}.{apex}".lstrip(".")), apex


def _clean(name: str) -> str:
    return name.removesuffix(".").lower().replace("\\052", "*")


def _find(cloud: Cloud, zone: str, name: str, kind: str) -> dict[str, Any] | None:
    found = cloud.pages("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone)
    return next((item for item in found if _clean(item["Name"]) == name and item["Type"] == kind), None)


def _change(cloud: Cloud, zone: str, action: str, record: Mapping[str, Any]) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    cloud.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)


def _wanted(inputs: Properties, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"Name": f"{name}.", "Type": inputs["type"]}
    for alias in inputs.get("aliases") or []:
        found["AliasTarget"] = {
            "HostedZoneId": alias["zoneId"],
            "DNSName": alias["name"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    if inputs.get("records") is not None:
        values = [_quoted(inputs["type"], str(value)) for value in inputs["records"]]
        found |= {"TTL": int(inputs["ttl"]), "ResourceRecords": [{"Value": value} for value in values]}
    return found


def _quoted(kind: str, value: str) -> str:
    """TXT and SPF values stand in quotation marks, which a program leaves out (expandTxtEntry, flattenTxtEntry)."""
    return f'"{value}"' if kind in _QUOTED else value


def _plain(kind: str, value: str) -> str:
    return value.removeprefix('"').removesuffix('"') if kind in _QUOTED else value


def _alias(live: Mapping[str, Any], declared: Any) -> Properties:
    """The target, its name as declared where it is the same: neither case nor `dualstack.` count (normalizeAliasDomainName)."""
    name = _clean(live["DNSName"])
    known_name = declared[0].get("name") if isinstance(declared, list) and declared else None
    same = isinstance(known_name, str) and _target(known_name) == _target(name)
    return {
        "name": known_name if same else name,
        "zoneId": live["HostedZoneId"],
        "evaluateTargetHealth": live["EvaluateTargetHealth"],
    }


def _target(name: str) -> str:
    return _clean(name).removeprefix("dualstack.")


def _alias_faults(aliases: list[Any]) -> list[Fault]:
    if len(aliases) != 1:
        return [Fault("aliases", f"are {len(aliases)}: a record has one target (AliasTarget)")]
    alias = aliases[0]
    if not isinstance(alias, dict):
        return []
    missing = [name for name in ("name", "zoneId", "evaluateTargetHealth") if alias.get(name) is None]
    return [Fault(f"aliases[0].{name}", "is required (AliasTarget)") for name in missing]


def _value_faults(kind: Any, records: list[Any]) -> list[Fault]:
    source = "Supported DNS record types"
    found = [] if records else [Fault("records", f"are none ({source})")]
    if kind == "CNAME" and len(records) > 1:
        found.append(Fault("records", f"are {len(records)}: a CNAME has one ({source})"))
    if len(set(map(str, records))) < len(records) and all(known(value) for value in records):
        found.append(Fault("records", "have a value twice (InvalidChangeBatch: Duplicate Resource Record)"))
    for index, value in enumerate(records):
        if kind in _VERSIONS and isinstance(value, str) and _version(value) != _VERSIONS[kind]:
            found.append(Fault(f"records[{index}]", f"{value!r} is no IPv{_VERSIONS[kind]} address ({source})"))
    return found


def _version(value: str) -> int:
    try:
        return ip_address(value).version
    except ValueError:
        return 0


TYPES = (Record(),)
