"""Listener and listener rule (terraform-provider-aws listener.go, listener_rule.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Fault, NotFound, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.actions import action_members, check_actions, check_groups_exist, from_action, groups_of
from turnout.providers.aws.base import Deadline, changed
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.elbv2_balancer import Elbv2Type
from turnout.providers.aws.mapping import tag_list

CONDITIONS = {
    "hostHeader": ("host-header", "HostHeaderConfig"),
    "pathPattern": ("path-pattern", "PathPatternConfig"),
    "httpHeader": ("http-header", "HttpHeaderConfig"),
    "httpRequestMethod": ("http-request-method", "HttpRequestMethodConfig"),
    "queryStrings": ("query-string", "QueryStringConfig"),
    "sourceIp": ("source-ip", "SourceIpConfig"),
}
"""Pulumi's block -> RuleCondition's Field and config member."""


SECURE = frozenset({"HTTPS", "TLS"})
FITTING = {"HTTP": {"HTTP", "HTTPS"}, "HTTPS": {"HTTP", "HTTPS"}, "TCP": {"TCP"}, "TLS": {"TCP", "TLS"}}
"""A listener's protocol -> those of target groups behind it ("CreateListener": IncompatibleProtocols; "Listeners for your
Network Load Balancers")."""
ALPN = frozenset({"HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"})

IDLE, IDLE_KEY, IDLE_SECONDS = "tcpIdleTimeoutSeconds", "tcp.idle_timeout.seconds", 350
"""Of a TCP listener: 60 to 6000 s ("Listeners for your Network Load Balancers", listener attributes)."""


class Listener(Elbv2Type):
    """aws_lb_listener of an application or network load balancer."""

    token = "aws:lb/listener:Listener"
    inputs = frozenset(
        {"loadBalancerArn", "port", "protocol", "certificateArn", "sslPolicy", "alpnPolicy", "defaultActions", "tags", IDLE}
    )
    replace_on = frozenset({"loadBalancerArn"})
    defaults: ClassVar[Mapping[str, Any]] = {"alpnPolicy": "None", "certificateArn": None, IDLE: IDLE_SECONDS}

    def check(self, inputs: Properties) -> list[Fault]:
        source = "CreateListener"
        faults = rules.required(inputs, "loadBalancerArn", "defaultActions", "port")
        faults += rules.between(inputs, "port", 1, 65535, source)
        faults += rules.one_of(inputs, "protocol", FITTING, "the local cloud's listeners")
        faults += rules.one_of(inputs, "alpnPolicy", ALPN, source)
        faults += rules.between(inputs, IDLE, 60, 6000, "Listeners for your Network Load Balancers")
        faults += _check_tls(inputs, source)
        if inputs.get("protocol") in ("TCP", "TLS"):
            kinds = [action.get("type") for action in inputs.get("defaultActions") or [] if isinstance(action, dict)]
            foreign = sorted({kind for kind in kinds if isinstance(kind, str) and kind != "forward"})
            if foreign:
                reason = f"a network load balancer forwards only, it has no {', '.join(foreign)} ({source})"
                faults.append(Fault("defaultActions", reason))
        return faults + check_actions("defaultActions", inputs.get("defaultActions"))

    def _members(self, inputs: Properties) -> dict[str, Any]:
        certificate = inputs.get("certificateArn")
        return {
            "Port": int(inputs["port"]),
            "Protocol": inputs.get("protocol") or ("HTTPS" if certificate else "HTTP"),
            "Certificates": [{"CertificateArn": certificate}] if certificate else None,
            "SslPolicy": inputs.get("sslPolicy"),
            "AlpnPolicy": [inputs["alpnPolicy"]] if inputs.get("alpnPolicy") else None,
            "DefaultActions": [action_members(action, index) for index, action in enumerate(inputs["defaultActions"], 1)],
        }

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """CreateListener: DuplicateListener for a port in use, TargetGroupNotFound."""
        self._check_live(cloud, None, inputs)
        made = cloud.call(
            "elbv2",
            "create_listener",
            LoadBalancerArn=inputs["loadBalancerArn"],
            Tags=tag_list(tags),
            **self._members(inputs),
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def _check_live(self, cloud: Cloud, id: str | None, inputs: Properties) -> None:
        check_groups_exist(cloud, inputs["defaultActions"])
        _check_protocols(cloud, inputs)
        for listener in self._on(cloud, inputs):
            if listener["Port"] == int(inputs["port"]) and listener["ListenerArn"] != id:
                raise ProviderError(
                    f"elbv2 create_listener: DuplicateListener: the load balancer has a listener on port {inputs['port']}"
                )

    @staticmethod
    def _on(cloud: Cloud, inputs: Properties) -> list[dict[str, Any]]:
        return cloud.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=inputs["loadBalancerArn"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if new.get("protocol") == "TCP" and changed(old, new, IDLE):
            wanted = [{"Key": IDLE_KEY, "Value": str(int(new.get(IDLE) or IDLE_SECONDS))}]
            cloud.call("elbv2", "modify_listener_attributes", ListenerArn=id, Attributes=wanted)
        if old and changed(old, new, *(self.inputs - {"tags", IDLE})):
            self._check_live(cloud, id, new)
            members = self._members(new)
            if changed(old, new, "alpnPolicy"):
                members["AlpnPolicy"] = [new.get("alpnPolicy") or "None"]
            cloud.call("elbv2", "modify_listener", ListenerArn=id, **members)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        listener = cloud.call("elbv2", "describe_listeners", ListenerArns=[id])["Listeners"][0]
        certificates = listener.get("Certificates") or [{}]
        return {
            "loadBalancerArn": listener["LoadBalancerArn"],
            "port": listener["Port"],
            "protocol": listener["Protocol"],
            "certificateArn": certificates[0].get("CertificateArn"),
            "sslPolicy": listener.get("SslPolicy") or "",
            "alpnPolicy": next(iter(listener.get("AlpnPolicy") or []), "None"),
            "defaultActions": [from_action(action) for action in listener["DefaultActions"]],
            **(_idle(cloud, id) if listener["Protocol"] == "TCP" else {}),
            "arn": id,
            "tagsAll": self.tags_of(cloud, id),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        for listener in self._on(cloud, inputs):
            if listener["Port"] == int(inputs["port"]):
                return str(listener["ListenerArn"])
        return None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("elbv2", "delete_listener", ListenerArn=id)


def _idle(cloud: Cloud, id: str) -> Properties:
    attributes = cloud.call("elbv2", "describe_listener_attributes", ListenerArn=id)["Attributes"]
    return {IDLE: int(next((found["Value"] for found in attributes if found["Key"] == IDLE_KEY), IDLE_SECONDS))}


def _check_tls(inputs: Properties, source: str) -> list[Fault]:
    """Who needs a certificate, and who takes none ("CreateListener": CertificateNotFound, InvalidConfigurationRequest)."""
    protocol = inputs.get("protocol")
    if protocol not in FITTING:
        return []
    if protocol in SECURE and inputs.get("certificateArn") is None:
        return [Fault("certificateArn", f"an {protocol} listener needs a certificate ({source}: CertificateNotFound)")]
    taken = {"certificateArn": SECURE, "sslPolicy": SECURE, "alpnPolicy": {"TLS"}, IDLE: {"TCP"}}
    return [
        Fault(name, f"an {protocol} listener takes none ({source}: InvalidConfigurationRequest)")
        for name, protocols in taken.items()
        if inputs.get(name) is not None and protocol not in protocols
    ]


def _check_protocols(cloud: Cloud, inputs: Properties) -> None:
    """CreateListener, ModifyListener: IncompatibleProtocols (moto lets any target group stand behind any listener)."""
    arns = list(dict.fromkeys(groups_of(inputs["defaultActions"])))
    protocol = inputs.get("protocol") or ("HTTPS" if inputs.get("certificateArn") else "HTTP")
    for group in cloud.call("elbv2", "describe_target_groups", TargetGroupArns=arns)["TargetGroups"] if arns else []:
        if group["Protocol"] not in FITTING[protocol]:
            raise ProviderError(
                f"elbv2: IncompatibleProtocols: a {protocol} listener forwards to none of {group['Protocol']}: "
                f"{group['TargetGroupName']}"
            )


class ListenerRule(Elbv2Type):
    """aws_lb_listener_rule: a priority is unique in its listener and is changed in place by SetRulePriorities."""

    token = "aws:lb/listenerRule:ListenerRule"
    inputs = frozenset({"listenerArn", "priority", "actions", "conditions", "tags"})
    replace_on = frozenset({"listenerArn"})

    def check(self, inputs: Properties) -> list[Fault]:
        faults = rules.required(inputs, "listenerArn", "actions", "conditions", "priority")
        faults += rules.between(inputs, "priority", 1, 50000, "CreateRule")
        return faults + check_actions("actions", inputs.get("actions")) + _check_conditions(inputs.get("conditions"))

    @staticmethod
    def _members(inputs: Properties) -> dict[str, Any]:
        return {
            "Conditions": [_condition_members(condition) for condition in inputs["conditions"]],
            "Actions": [action_members(action, index) for index, action in enumerate(inputs["actions"], 1)],
        }

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """CreateRule: PriorityInUse, TargetGroupNotFound."""
        check_groups_exist(cloud, inputs["actions"])
        self._check_priority(cloud, None, inputs)
        made = cloud.call(
            "elbv2",
            "create_rule",
            ListenerArn=inputs["listenerArn"],
            Priority=int(inputs["priority"]),
            Tags=tag_list(tags),
            **self._members(inputs),
        )
        return str(made["Rules"][0]["RuleArn"])

    def _check_priority(self, cloud: Cloud, id: str | None, inputs: Properties) -> None:
        taken = self.locate(cloud, inputs, "")
        if taken is not None and taken != id:
            raise ProviderError(f"elbv2: PriorityInUse: the listener has a rule of priority {inputs['priority']}")

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if not old:
            return
        if changed(old, new, "priority") and self.locate(cloud, new, "") != id:
            self._check_priority(cloud, id, new)
            cloud.call("elbv2", "set_rule_priorities", RulePriorities=[{"RuleArn": id, "Priority": int(new["priority"])}])
        if changed(old, new, "actions", "conditions"):
            check_groups_exist(cloud, new["actions"])
            cloud.call("elbv2", "modify_rule", RuleArn=id, **self._members(new))

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        rule = cloud.call("elbv2", "describe_rules", RuleArns=[id])["Rules"][0]
        return {
            "listenerArn": id.replace(":listener-rule/", ":listener/").rsplit("/", 1)[0],
            "priority": rule["Priority"],
            "actions": [from_action(action) for action in rule["Actions"]],
            "conditions": [_from_condition(condition) for condition in rule["Conditions"]],
            "arn": id,
            "tagsAll": self.tags_of(cloud, id),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        for rule in cloud.pages("elbv2", "describe_rules", "Rules", ListenerArn=inputs["listenerArn"]):
            if rule["Priority"] == str(int(inputs["priority"])):
                return str(rule["RuleArn"])
        return None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        try:
            cloud.call("elbv2", "describe_rules", RuleArns=[id])
        except NotFound:
            return
        cloud.call("elbv2", "delete_rule", RuleArn=id)


def _condition_members(condition: Properties) -> dict[str, Any]:
    ((name, block),) = ((name, block) for name, block in condition.items() if block is not None)
    field, member = CONDITIONS[name]
    if name == "queryStrings":
        pairs = [{"Key": pair.get("key"), "Value": pair["value"]} for pair in block]
        return {
            "Field": field,
            member: {"Values": [{k: v for k, v in pair.items() if v is not None} for pair in pairs]},
        }
    config: dict[str, Any] = {"Values": list(block["values"])}
    if name == "httpHeader":
        config["HttpHeaderName"] = block["httpHeaderName"]
    return {"Field": field, member: config}


def _from_condition(condition: Mapping[str, Any]) -> Properties:
    for name, (field, member) in CONDITIONS.items():
        if condition["Field"] != field:
            continue
        config = condition.get(member) or {"Values": condition.get("Values", [])}
        if name == "queryStrings":
            return {name: [{"key": pair.get("Key"), "value": pair.get("Value")} for pair in config["Values"]]}
        header = {"httpHeaderName": config["HttpHeaderName"]} if name == "httpHeader" else {}
        return {name: {"values": list(config["Values"]), **header}}
    return {"unknown": condition["Field"]}


def _check_conditions(conditions: Any) -> list[Fault]:
    """AWS "Condition types for listener rules" and "Quotas": one type a condition, at most five values in a rule."""
    if not isinstance(conditions, list):
        return []
    if not conditions:
        return [Fault("conditions", "a rule needs at least one condition (CreateRule)")]
    faults, values = [], 0
    for index, condition in enumerate(conditions):
        if not isinstance(condition, dict):
            continue
        given = [name for name in condition if condition[name] is not None]
        if len(given) != 1 or given[0] not in CONDITIONS:
            faults.append(Fault(f"conditions[{index}]", f"needs exactly one of {', '.join(CONDITIONS)} (RuleCondition)"))
            continue
        block = condition[given[0]]
        held = block if isinstance(block, list) else block.get("values") if isinstance(block, dict) else None
        if isinstance(held, list):
            values += len(held)
            if not held:
                faults.append(Fault(f"conditions[{index}].{given[0]}", "has no values (RuleCondition)"))
    if values > 5:
        faults.append(Fault("conditions", f"{values} values are more than the 5 that a rule takes (Quotas: TooManyActions)"))
    return faults


TYPES = (Listener(), ListenerRule())
