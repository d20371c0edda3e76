"""EKS cluster (terraform-provider-aws internal/service/eks/cluster.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import Deadline, changed, known
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.eks_base import MINOR, NAME, NAME_MEANING, EksType, active, send, settle
from turnout.providers.aws.mapping import fits

CREATE_SECONDS = 1800
"""As long as resourceCluster waits for a new cluster (schema.DefaultTimeout)."""
_LOGS = {"api", "audit", "authenticator", "controllerManager", "scheduler"}
_ENDPOINT = ("endpointPrivateAccess", "endpointPublicAccess", "publicAccessCidrs")
_NETWORK = (*_ENDPOINT, "subnetIds", "securityGroupIds")
_NAMES = ("accessConfig", "encryptionConfig", "kubernetesNetworkConfig", "upgradePolicy", "vpcConfig", "zonalShiftConfig")
_INNER: Mapping[str, frozenset[str]] = {
    "accessConfig": frozenset({"authenticationMode", "bootstrapClusterCreatorAdminPermissions"}),
    "encryptionConfig": frozenset({"provider", "resources"}),
    "kubernetesNetworkConfig": frozenset({"ipFamily", "serviceIpv4Cidr"}),
    "upgradePolicy": frozenset({"supportType"}),
    "vpcConfig": frozenset(_NETWORK),
    "zonalShiftConfig": frozenset({"enabled"}),
}
"""What of each block is supported."""


class Cluster(EksType):
    """aws_eks_cluster; the id is the name. Auto Mode, Outposts and hybrid nodes are not supported."""

    token = "aws:eks/cluster:Cluster"
    inputs = frozenset(
        {
            *_NAMES,
            "bootstrapSelfManagedAddons",
            "deletionProtection",
            "enabledClusterLogTypes",
            "forceUpdateVersion",
            "name",
            "roleArn",
            "tags",
            "version",
        }
    )
    replace_on = frozenset({"bootstrapSelfManagedAddons", "kubernetesNetworkConfig", "name", "roleArn"})
    auto_name = AutoName("name", 100)
    volatile = frozenset({"platformVersion"})
    completed = frozenset({"vpcConfig"})
    defaults: ClassVar[Mapping[str, Any]] = {
        "deletionProtection": False,
        "enabledClusterLogTypes": [],
        "zonalShiftConfig": {"enabled": False},
        "encryptionConfig": None,
    }
    arn_member = "arn"

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreateCluster" (Amazon EKS API Reference), resourceCluster's schema."""
        faults = rules.required(inputs, "roleArn", "vpcConfig")
        faults += rules.matches(inputs, "name", NAME, NAME_MEANING, "CreateCluster")
        faults += rules.matches(inputs, "version", MINOR, "a minor version such as 1.34", "CreateCluster")
        modes = {"CONFIG_MAP", "API_AND_CONFIG_MAP", "API"}
        faults += rules.one_of(inputs, "accessConfig.authenticationMode", modes, "CreateAccessConfigRequest")
        faults += rules.one_of(inputs, "upgradePolicy.supportType", {"STANDARD", "EXTENDED"}, "UpgradePolicyRequest")
        faults += rules.one_of(inputs, "kubernetesNetworkConfig.ipFamily", {"ipv4", "ipv6"}, "KubernetesNetworkConfigRequest")
        faults += rules.ipv4_network(
            inputs, "kubernetesNetworkConfig.serviceIpv4Cidr", "KubernetesNetworkConfigRequest", range(12, 25)
        )
        for block, names in _INNER.items():
            held = inputs.get(block)
            if isinstance(held, dict):
                faults += [
                    Fault(f"{block}.{name}", "is not supported by the local engine")
                    for name, value in held.items()
                    if name not in names and value is not None
                ]
        return [*faults, *_logs(inputs), *_network_faults(inputs.get("vpcConfig")), *_encryption(inputs)]

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """resourceClusterCreate; the role is there at once here, so nothing is tried again."""
        encryption = inputs.get("encryptionConfig")
        made = send(
            cloud,
            "create_cluster",
            **{name: inputs.get(name) for name in ("name", "roleArn", "version", "bootstrapSelfManagedAddons")},
            **{name: inputs.get(name) for name in ("accessConfig", "deletionProtection", "kubernetesNetworkConfig")},
            **{name: inputs.get(name) for name in ("upgradePolicy", "zonalShiftConfig")},
            resourcesVpcConfig=inputs["vpcConfig"],
            logging=_logging(inputs.get("enabledClusterLogTypes") or []),
            encryptionConfig=[encryption] if encryption else None,
            tags=dict(tags),
        )
        return str(made["cluster"]["name"])

    def described(self, cloud: Cloud, id: str, inputs: Properties) -> Mapping[str, Any]:
        return dict(cloud.call("eks", "describe_cluster", name=id)["cluster"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """resourceClusterUpdate: the version first, then one kind of update after the other; each only where AWS does not hold
        it already, which refuses an update that changes nothing."""
        active(lambda: self.described(cloud, id, new), f"eks cluster {id}", CREATE_SECONDS)
        if not old:
            return
        live = self.described(cloud, id, new)
        self._refuse(old, new)
        if changed(old, new, "version") and new.get("version") not in (None, live["version"]):
            force = new.get("forceUpdateVersion") or None
            update = send(cloud, "update_cluster_version", name=id, version=new["version"], force=force)["update"]
            settle(cloud, update, name=id)
        if changed(old, new, "encryptionConfig") and new.get("encryptionConfig") and not live.get("encryptionConfig"):
            wanted = [new["encryptionConfig"]]
            update = send(cloud, "associate_encryption_config", clusterName=id, encryptionConfig=wanted)["update"]
            settle(cloud, update, name=id)
        for member, wanted in _updates(live, old, new):
            settle(cloud, send(cloud, "update_cluster_config", name=id, **{member: wanted})["update"], name=id)

    @staticmethod
    def _refuse(old: Properties, new: Properties) -> None:
        """What the provider replaces the cluster for under a condition (resourceCluster's CustomizeDiff), or AWS cannot do."""
        key = old.get("encryptionConfig"), new.get("encryptionConfig")
        if key[0] and key[0] != key[1]:
            raise ProviderError(
                "encryptionConfig can be neither changed nor taken away (AssociateEncryptionConfig); make another cluster"
            )
        name = "bootstrapClusterCreatorAdminPermissions"
        before, after = ((held.get("accessConfig") or {}).get(name, True) for held in (old, new))
        if before != after and new.get("accessConfig"):
            raise ProviderError(f"accessConfig.{name} is said when a cluster is made, and not changed; make another cluster")

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = self.described(cloud, id, inputs)
        if found["status"] == "DELETING":
            return None
        network = found["resourcesVpcConfig"]
        encryption = found.get("encryptionConfig") or [None]
        creator = (inputs.get("accessConfig") or {}).get("bootstrapClusterCreatorAdminPermissions")
        return {
            "name": found["name"],
            "arn": found["arn"],
            "roleArn": found["roleArn"],
            "version": found["version"],
            # resourceClusterRead: the API does not tell whether its creator was made an administrator.
            "accessConfig": {**found["accessConfig"], "bootstrapClusterCreatorAdminPermissions": creator},
            "deletionProtection": bool(found.get("deletionProtection")),
            "enabledClusterLogTypes": _enabled(found),
            "encryptionConfig": encryption[0],
            "kubernetesNetworkConfig": found["kubernetesNetworkConfig"],
            "upgradePolicy": found.get("upgradePolicy"),
            "zonalShiftConfig": found.get("zonalShiftConfig") or {"enabled": False},
            "vpcConfig": {name: network.get(name) for name in (*_NETWORK, "clusterSecurityGroupId", "vpcId")},
            "certificateAuthority": found["certificateAuthority"],
            "endpoint": found["endpoint"],
            "identities": [{"oidcs": [{"issuer": found["identity"]["oidc"]["issuer"]}]}],
            "platformVersion": found["platformVersion"],
            "status": found["status"],
            "createdAt": found["createdAt"].isoformat(),
            "tagsAll": dict(found.get("tags") or {}),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return self.found_by_tag(cloud, str(inputs["name"]), inputs, token)

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceClusterDelete. "Protect EKS clusters from accidental deletion": protection is taken off first."""
        if self.described(cloud, id, inputs).get("deletionProtection"):
            raise ProviderError(
                f"eks delete_cluster: {id} is protected against deletion; set deletionProtection to false and update before"
            )
        cloud.call("eks", "delete_cluster", name=id)


def _logs(inputs: Properties) -> list[Fault]:
    types = inputs.get("enabledClusterLogTypes")
    wrong = [kind for kind in types if isinstance(kind, str) and kind not in _LOGS] if isinstance(types, list) else []
    reason = f"{', '.join(wrong)}: none of {', '.join(sorted(_LOGS))} (LogSetup)"
    return [Fault("enabledClusterLogTypes", reason)] if wrong else []


def _network_faults(network: Any) -> list[Fault]:
    """ "Cluster API server endpoint", "View Amazon EKS networking requirements for VPC and subnets"."""
    if not isinstance(network, dict):
        return []
    faults = []
    private, public = network.get("endpointPrivateAccess"), network.get("endpointPublicAccess")
    if private in (None, False) and public is False:
        reason = "the private and the public endpoint cannot both be off (VpcConfigRequest)"
        faults.append(Fault("vpcConfig.endpointPublicAccess", reason))
    subnets = network.get("subnetIds")
    if subnets is None or (isinstance(subnets, list) and len(subnets) < 2):
        faults.append(Fault("vpcConfig.subnetIds", "needs subnets in two Availability Zones or more (VpcConfigRequest)"))
    if public is False and network.get("publicAccessCidrs"):
        faults.append(Fault("vpcConfig.publicAccessCidrs", "is of no use without the public endpoint (VpcConfigRequest)"))
    return faults


def _encryption(inputs: Properties) -> list[Fault]:
    block = inputs.get("encryptionConfig")
    if not isinstance(block, dict):
        return []
    resources, key = block.get("resources"), block.get("provider")
    faults = []
    if known(resources) and resources != ["secrets"]:
        faults.append(Fault("encryptionConfig.resources", 'must be ["secrets"] (EncryptionConfig)'))
    if key is None or (isinstance(key, dict) and key.get("keyArn") is None):
        faults.append(Fault("encryptionConfig.provider.keyArn", "is required"))
    return faults


def _logging(types: list[str]) -> dict[str, Any]:
    """expandLogging: what is on, and everything else off."""
    parts = [(sorted(types), True), (sorted(_LOGS - set(types)), False)]
    return {"clusterLogging": [{"types": held, "enabled": enabled} for held, enabled in parts if held]}


def _enabled(cluster: Mapping[str, Any]) -> list[str]:
    setups = (cluster.get("logging") or {}).get("clusterLogging") or []
    return sorted(kind for setup in setups if setup.get("enabled") for kind in setup["types"])


def _updates(live: Mapping[str, Any], old: Properties, new: Properties) -> list[tuple[str, Any]]:
    """The members of UpdateClusterConfig that have to change, one a call, in the provider's order."""
    found: list[tuple[str, Any]] = []
    mode = (new.get("accessConfig") or {}).get("authenticationMode")
    if changed(old, new, "accessConfig") and mode and mode != live["accessConfig"]["authenticationMode"]:
        found.append(("accessConfig", {"authenticationMode": mode}))
    types = new.get("enabledClusterLogTypes") or []
    if changed(old, new, "enabledClusterLogTypes") and sorted(types) != _enabled(live):
        found.append(("logging", _logging(types)))
    policy = new.get("upgradePolicy")
    if changed(old, new, "upgradePolicy") and policy and not fits(policy, live.get("upgradePolicy")):
        found.append(("upgradePolicy", policy))
    if changed(old, new, "vpcConfig"):
        found += _network(live["resourcesVpcConfig"], new["vpcConfig"])
    shift = new.get("zonalShiftConfig") or {"enabled": False}
    if changed(old, new, "zonalShiftConfig") and not fits(shift, live.get("zonalShiftConfig")):
        found.append(("zonalShiftConfig", shift))
    protection = bool(new.get("deletionProtection"))
    if changed(old, new, "deletionProtection") and protection is not bool(live.get("deletionProtection")):
        found.append(("deletionProtection", protection))
    return found


def _network(live: Mapping[str, Any], wanted: Properties) -> list[tuple[str, Any]]:
    """Endpoint, subnets and security groups change in a call each."""
    endpoint = {
        "endpointPrivateAccess": bool(wanted.get("endpointPrivateAccess", False)),
        "endpointPublicAccess": wanted.get("endpointPublicAccess") is not False,
        "publicAccessCidrs": wanted.get("publicAccessCidrs") or None,
    }
    parts: list[Properties] = [endpoint, {"subnetIds": wanted["subnetIds"]}]
    parts.append({"securityGroupIds": wanted.get("securityGroupIds") or []})
    held = [{name: value for name, value in part.items() if value is not None} for part in parts]
    return [("resourcesVpcConfig", part) for part in held if not fits(part, dict(live))]


TYPES = (Cluster(),)
