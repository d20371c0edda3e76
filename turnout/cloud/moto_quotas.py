"""Extends moto with EC2's vCPU quotas of GPU families, Spot placement scores and the types that fit attributes.

Sources: "Amazon EC2 instance type quotas" (Amazon EC2 Instance Types: names and codes); Service Quotas API Reference,
"GetServiceQuota", "ListServiceQuotas", "GetAWSDefaultServiceQuota", "RequestServiceQuotaIncrease"; Amazon EC2 API Reference,
"GetSpotPlacementScores", "GetInstanceTypesFromInstanceRequirements". The quotas hold nothing back: they are there to be read.
"""

import json
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.responses import EC2Response
from moto.moto_api._internal import mock_random
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

GRANTED = 768.0
"""vCPUs that each quota has here from the start; AWS's default is 0 for each."""
NAMES = {
    "L-DB2E81BA": "Running On-Demand G and VT instances",
    "L-417A185B": "Running On-Demand P instances",
    "L-3819A6DF": "All G and VT Spot Instance Requests",
    "L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests",
    "L-C4BD4855": "All P5 Spot Instance Requests",
}
_HIGH, _LOW = 9, 3
_TYPES_FOR_A_SCORE = 3
"""With one or two types the score is always low ("GetSpotPlacementScores")."""

_asked: WeakKeyDictionary[ServiceQuotasBackend, dict[str, float]] = WeakKeyDictionary()


def extend_quotas() -> None:
    """Lets the API answer these calls."""
    own = ServiceQuotasBackend.get_service_quota

    def get(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
        return _quota(self, quota_code) if service_code == "ec2" else own(self, service_code, quota_code)

    ServiceQuotasBackend.get_service_quota = get  # type: ignore[method-assign]
    for method in (list_service_quotas, get_aws_default_service_quota, request_service_quota_increase):
        setattr(ServiceQuotasResponse, method.__name__, method)
    for action in (get_spot_placement_scores, get_instance_types_from_instance_requirements):
        setattr(EC2Response, action.__name__, action)


def _quota(backend: ServiceQuotasBackend, code: str, value: float | None = None) -> dict[str, Any]:
    if code not in NAMES:
        raise NoSuchResource
    applied = _asked.setdefault(backend, {}).get(code, GRANTED)
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{backend.region_name}:{backend.account_id}:ec2/{code}",
        "QuotaCode": code,
        "QuotaName": NAMES[code],
        "Value": applied if value is None else value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def list_service_quotas(self: ServiceQuotasResponse) -> str:
    """ "ListServiceQuotas": EC2's, on one page."""
    if json.loads(self.body).get("ServiceCode") != "ec2":
        raise NoSuchResource
    return json.dumps({"Quotas": [_quota(self.backend, code) for code in NAMES]})


def get_aws_default_service_quota(self: ServiceQuotasResponse) -> str:
    """ "GetAWSDefaultServiceQuota"."""
    given = json.loads(self.body)
    if given.get("ServiceCode") != "ec2":
        raise NoSuchResource
    return json.dumps({"Quota": _quota(self.backend, str(given.get("QuotaCode")), 0.0)})


def request_service_quota_increase(self: ServiceQuotasResponse) -> str:
    """ "RequestServiceQuotaIncrease": granted at once; AWS looks at a request first. A value that is no increase is refused."""
    given = json.loads(self.body)
    code, value = str(given.get("QuotaCode")), float(given.get("DesiredValue") or 0)
    if given.get("ServiceCode") != "ec2":
        raise NoSuchResource
    before = _quota(self.backend, code)
    if value <= before["Value"]:
        raise JsonRESTError("IllegalArgumentException", f"You must provide a quota value greater than {before['Value']}")
    _asked[self.backend][code] = value
    wanted = {key: before[key] for key in ("ServiceCode", "QuotaCode", "QuotaName", "QuotaArn", "Unit", "GlobalQuota")}
    request = {"Id": mock_random.get_random_hex(32), "DesiredValue": value, "Status": "APPROVED", **wanted}
    return json.dumps({"RequestedQuota": request})


def get_spot_placement_scores(self: EC2Response) -> ActionResult:
    """ "GetSpotPlacementScores": high for three types or more and for attributes, else low, for any capacity."""
    given: Mapping[str, Any] = self._get_params()
    types, wanted = given.get("InstanceTypes") or [], given.get("InstanceRequirementsWithMetadata")
    if types and wanted:
        message = "The parameters InstanceTypes and InstanceRequirementsWithMetadata cannot be used together"
        raise EC2ClientError("InvalidParameterCombination", message)
    if not types and not wanted:
        raise EC2ClientError("MissingParameter", "The request must contain InstanceTypes or InstanceRequirementsWithMetadata")
    score = _HIGH if wanted or len(set(types)) >= _TYPES_FOR_A_SCORE else _LOW
    regions = given.get("RegionNames") or [self.region]
    return ActionResult({"SpotPlacementScores": [{"Region": region, "Score": score} for region in regions]})


def get_instance_types_from_instance_requirements(self: EC2Response) -> ActionResult:
    """ "GetInstanceTypesFromInstanceRequirements": by vCPUs, memory and NVIDIA GPUs (their number, names and memory)."""
    given: Mapping[str, Any] = self._get_params()
    wanted = given.get("InstanceRequirements") or {}
    fitting = [name for name, kind in sorted(INSTANCE_TYPES.items()) if _fits(kind, wanted)]
    return ActionResult({"InstanceTypes": [{"InstanceType": name} for name in fitting]})


def _fits(kind: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    gpus = kind.get("GpuInfo", {}).get("Gpus", [])
    names = {str(name).lower() for name in wanted.get("AcceleratorNames") or []}
    measures = {
        "VCpuCount": kind["VCpuInfo"]["DefaultVCpus"],
        "MemoryMiB": kind["MemoryInfo"]["SizeInMiB"],
        "AcceleratorCount": sum(gpu["Count"] for gpu in gpus if gpu["Manufacturer"] == "NVIDIA"),
        "AcceleratorTotalMemoryMiB": kind.get("GpuInfo", {}).get("TotalGpuMemoryInMiB", 0),
    }
    within = all(_within(value, wanted.get(name) or {}) for name, value in measures.items())
    return within and (not names or any(str(gpu["Name"]).lower() in names for gpu in gpus))


def _within(value: int, bounds: Mapping[str, Any]) -> bool:
    return int(bounds.get("Min") or 0) <= value and (bounds.get("Max") is None or value <= int(bounds["Max"]))
