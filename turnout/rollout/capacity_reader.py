"""Reads what `capacity.check` asks: the pool's group, its types' vCPUs, quotas, what runs, reservations, warm pool, Spot score.

What cannot be read is a line in `Pool.unknown` and no error: a role without a right must not stop a rollout. A group that does
not exist is one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from turnout.rollout.capacity import Market, Pool, Quota, QuotaName, Reservation, quota_of

_RUNS = ("pending", "running")
"""Quotas count running instances; those that boot are about to."""
_ELSEWHERE = ("Terminat", "Warmed", "Detach", "Standby", "EnteringStandby")
_TYPES_A_CALL = 100
T = TypeVar("T")

Clients = Callable[[str], Any]
"""AWS clients of botocore's kind by service: `autoscaling`, `ec2`, `service-quotas`."""


class NoGroup(LookupError):
    """The candidate's auto scaling group does not exist."""


def read(clients: Clients, group: str, wanted: int) -> Pool:
    """The pool of this group as it is now. `wanted`: nodes that a Spot placement score is asked for.

    Raises `NoGroup`, and what the clients raise for the group itself."""
    found = clients("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    if not found:
        raise NoGroup(f"auto scaling group {group} does not exist; run `turnout up`")
    return _Reader(clients, found[0]).pool(wanted)


class _Reader:
    def __init__(self, clients: Clients, group: Mapping[str, Any]) -> None:
        self._clients, self._group = clients, group
        self._unknown: list[str] = []

    def pool(self, wanted: int) -> Pool:
        policy = self._group.get("MixedInstancesPolicy") or {}
        template = self._template(policy)
        types, requirements = self._types(policy, template)
        shares = policy.get("InstancesDistribution") or {}
        spot = template.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        base = int(shares.get("OnDemandBaseCapacity") or 0)
        percent = 0 if spot else int(shares.get("OnDemandPercentageAboveBaseCapacity", 100))
        warm, runs = self._or("the warm pool", self._warm, (0, False))
        reservation = self._or("the capacity reservation", lambda: self._reservation(template), None)
        score = self._score(types, requirements, wanted) if percent < 100 else None
        markets = [Market.ON_DEMAND] if percent == 100 else [Market.SPOT, *([Market.ON_DEMAND] if base or percent else [])]
        nothing: tuple[Quota, ...] = ()
        quotas = self._or("the quotas", lambda: self._quotas(types, markets), nothing)
        return Pool(
            group=self._group["AutoScalingGroupName"],
            serving=sum(not item["LifecycleState"].startswith(_ELSEWHERE) for item in self._group["Instances"]),
            maximum=self._group["MaxSize"],
            types=types,
            quotas=quotas,
            warm=warm,
            warm_runs=runs,
            base=base,
            percent=percent,
            reservation=reservation,
            score=score,
            unknown=tuple(self._unknown),
        )

    def _or(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except Exception as error:  # whatever AWS says: the line tells it
            self._unknown.append(f"{what} of {self._group['AutoScalingGroupName']} cannot be read: {_said(error)}")
            return otherwise

    def _template(self, policy: Mapping[str, Any]) -> Mapping[str, Any]:
        named = policy.get("LaunchTemplate", {}).get("LaunchTemplateSpecification") or self._group.get("LaunchTemplate") or {}

        def data() -> Mapping[str, Any]:
            which = {key: named[key] for key in ("LaunchTemplateId", "LaunchTemplateName") if named.get(key)}
            asked = {**dict([next(iter(which.items()))]), "Versions": [named.get("Version") or "$Default"]}
            answer = self._clients("ec2").describe_launch_template_versions(**asked)
            return dict(answer["LaunchTemplateVersions"][0]["LaunchTemplateData"])

        return self._or("the launch template", data, {})

    def _types(
        self, policy: Mapping[str, Any], template: Mapping[str, Any]
    ) -> tuple[tuple[str, ...], Mapping[str, Any] | None]:
        """The types that the group may launch, and the attributes that choose them, if they do."""
        overrides = policy.get("LaunchTemplate", {}).get("Overrides") or []
        named = tuple(item["InstanceType"] for item in overrides if item.get("InstanceType"))
        wanted = next((item["InstanceRequirements"] for item in overrides if item.get("InstanceRequirements")), None)
        if wanted is None:
            return named or tuple(filter(None, [template.get("InstanceType")])), None
        asked = {"ArchitectureTypes": ["x86_64"], "VirtualizationTypes": ["hvm"], "InstanceRequirements": wanted}

        def fitting() -> tuple[str, ...]:
            pages = self._clients("ec2").get_paginator("get_instance_types_from_instance_requirements").paginate(**asked)
            return tuple(sorted(item["InstanceType"] for page in pages for item in page["InstanceTypes"]))

        return self._or("the types that fit the requirements", fitting, ()), wanted

    def _warm(self) -> tuple[int, bool]:
        answer = self._clients("autoscaling").describe_warm_pool(AutoScalingGroupName=self._group["AutoScalingGroupName"])
        states = [item["LifecycleState"] for item in answer.get("Instances") or []]
        ready = sum(state in ("Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated") for state in states)
        return ready, (answer.get("WarmPoolConfiguration") or {}).get("PoolState") == "Running"

    def _reservation(self, template: Mapping[str, Any]) -> Reservation | None:
        """The block that the template names, else the reservation that the group names."""
        block = template.get("InstanceMarketOptions", {}).get("MarketType") == "capacity-block"
        of_group = (self._group.get("CapacityReservationSpecification") or {}).get("CapacityReservationTarget") or {}
        ids = of_group.get("CapacityReservationIds") or []
        if block:
            ids = [template["CapacityReservationSpecification"]["CapacityReservationTarget"]["CapacityReservationId"]]
        if not ids:
            return None
        (found,) = self._clients("ec2").describe_capacity_reservations(CapacityReservationIds=ids[:1])["CapacityReservations"]
        free, ends = found["AvailableInstanceCount"], found.get("EndDate")
        return Reservation(found["CapacityReservationId"], block, found["State"], free, ends)

    def _score(self, types: tuple[str, ...], wanted: Mapping[str, Any] | None, nodes: int) -> int | None:
        """ "GetSpotPlacementScores": of this region, for instances."""
        ec2 = self._clients("ec2")
        attributes = {"ArchitectureTypes": ["x86_64"], "VirtualizationTypes": ["hvm"], "InstanceRequirements": wanted}
        kinds: dict[str, Any] = {"InstanceRequirementsWithMetadata": attributes} if wanted else {"InstanceTypes": list(types)}

        def scored() -> int:
            asked = {"TargetCapacity": nodes, "RegionNames": [ec2.meta.region_name], **kinds}
            return int(ec2.get_spot_placement_scores(**asked)["SpotPlacementScores"][0]["Score"])

        return self._or("the Spot placement score", scored, None)

    def _quotas(self, types: tuple[str, ...], markets: Iterable[Market]) -> tuple[Quota, ...]:
        sizes = self._vcpus(types)
        largest: defaultdict[tuple[Market, QuotaName], int] = defaultdict(int)
        for market in markets:
            for name in types:
                of = quota_of(name, market)
                if of is None:
                    self._unknown.append(f"{name} {market}: no vCPU quota is known to Turnout; look at Service Quotas, ec2")
                else:
                    largest[market, of] = max(largest[market, of], sizes[name])
        used = self._used() if largest else {}
        quotas = []
        for (market, of), node in largest.items():
            limit, unread = self._limit(of)
            quotas.append(Quota(of, market, limit, used.get((market, of.code), 0), node, unread))
        return tuple(quotas)

    def _limit(self, of: QuotaName) -> tuple[float | None, str]:
        """ "GetServiceQuota" has applied values only; one that was never changed has its default."""
        quotas = self._clients("service-quotas")
        try:
            for ask in (quotas.get_service_quota, quotas.get_aws_default_service_quota):
                try:
                    return float(ask(ServiceCode="ec2", QuotaCode=of.code)["Quota"]["Value"]), ""
                except quotas.exceptions.NoSuchResourceException:
                    continue
        except Exception as error:
            return None, _said(error)
        return None, "Service Quotas does not know it in this region"

    def _used(self) -> dict[tuple[Market, str], int]:
        """vCPUs in use by market and quota. Unused places of Capacity Reservations count too ("Reserve compute
        capacity with EC2 On-Demand Capacity Reservations", Amazon EC2 User Guide); Capacity Blocks have quotas of their own
        ("Amazon EC2 instance type quotas", Amazon EC2 Instance Types)."""
        ec2 = self._clients("ec2")
        pages = ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "instance-state-name", "Values": list(_RUNS)}]
        )
        counted: defaultdict[tuple[Market, str], int] = defaultdict(int)
        for item in (i for page in pages for held in page["Reservations"] for i in held["Instances"]):
            kind = item.get("InstanceLifecycle", "")
            if kind != "capacity-block":
                counted[Market.SPOT if kind == "spot" else Market.ON_DEMAND, item["InstanceType"]] += 1
        for page in ec2.get_paginator("describe_capacity_reservations").paginate():
            for held in page["CapacityReservations"]:
                if held["State"] == "active" and held.get("ReservationType") != "capacity-block":
                    counted[Market.ON_DEMAND, held["InstanceType"]] += held["AvailableInstanceCount"]
        sizes = self._vcpus(tuple({name for _, name in counted if quota_of(name, Market.ON_DEMAND)}))
        used: defaultdict[tuple[Market, str], int] = defaultdict(int)
        for (market, name), number in counted.items():
            of = quota_of(name, market)
            if of is not None:
                used[market, of.code] += number * sizes[name]
        return used

    def _vcpus(self, types: tuple[str, ...]) -> dict[str, int]:
        sizes = {}
        for first in range(0, len(types), _TYPES_A_CALL):
            part = list(types[first : first + _TYPES_A_CALL])
            for found in self._clients("ec2").describe_instance_types(InstanceTypes=part)["InstanceTypes"]:
                sizes[found["InstanceType"]] = found["VCpuInfo"]["DefaultVCpus"]
        return sizes


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
