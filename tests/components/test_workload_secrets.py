"""What the component registers, with recording mocks, and what it refuses."""

import json
from typing import Any

import pulumi
import pytest
from recording import ACCOUNT, Recording, record
from turnout_components.workload_secret_rules import faults
from turnout_components.workload_secrets import WorkloadSecrets

ARN = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:turnout/llm/HF_TOKEN-AbCdEf"
VAULT = {"address": "https://vault.example.com:8200", "role": "llm-blue"}


def arguments(**changes: Any) -> Any:
    given = {"namespace": "llm", "name": "llm-blue", "references": {"HF_TOKEN": ARN}, "region": "us-east-1", **changes}
    return {name: value for name, value in given.items() if value is not None}


def made(**changes: Any) -> Recording:
    def program() -> dict[str, Any]:
        component = WorkloadSecrets("svc-blue", arguments(**changes))
        return {"name": component.secret_name, "keys": component.secret_keys}

    return record(program)


def store(found: Recording, ending: str) -> Any:
    return found.one("SecretStore", ending).inputs


def test_each_variable_comes_from_the_store_of_its_reference() -> None:
    references = {
        "HF_TOKEN": ARN,
        "DB_PASSWORD": f"{ARN}#password",
        "API_KEY": "ssm:/llm/blue/api-key",
        "LICENSE": "vault:secret/data/llm#license",
        "OLD": "vault:kv/llm#old",
    }
    found = made(references=references, vault=VAULT, service_account="llm-blue", refresh="5m")
    spec = found.one("ExternalSecret").inputs["spec"]
    assert spec["target"] == {"name": "llm-blue", "creationPolicy": "Owner", "deletionPolicy": "Retain"}
    assert (spec["refreshPolicy"], spec["refreshInterval"]) == ("Periodic", "300s")
    assert [(each["secretKey"], each["remoteRef"], each["sourceRef"]["storeRef"]["name"]) for each in spec["data"]] == [
        ("API_KEY", {"key": "/llm/blue/api-key"}, "llm-blue-parameters"),
        ("DB_PASSWORD", {"key": ARN, "property": "password"}, "llm-blue-secrets-manager"),
        ("HF_TOKEN", {"key": ARN}, "llm-blue-secrets-manager"),
        ("LICENSE", {"key": "secret/data/llm", "property": "license"}, "llm-blue-vault"),
        ("OLD", {"key": "kv/llm", "property": "old"}, "llm-blue-vault-v1"),
    ]
    assert {each.inputs["metadata"]["name"] for each in found.all("SecretStore")} == {
        each["sourceRef"]["storeRef"]["name"] for each in spec["data"]
    }
    assert found.one("ExternalSecret").dependencies >= {each.name for each in found.all("SecretStore")}
    assert found.outputs == {"name": "llm-blue", "keys": sorted(references)}


def test_stores_have_an_identity_and_no_credential() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/llm-blue-secrets"
    by_operator = store(made(role_arn=role), "-secrets-manager")["spec"]
    assert by_operator == {"provider": {"aws": {"service": "SecretsManager", "region": "us-east-1", "role": role}}}
    references = {"A": ARN, "B": "ssm:/b", "C": "vault:secret/data/c#c"}
    found = made(references=references, vault={**VAULT, "mount": "k8s"}, service_account="llm-blue")
    account = {"serviceAccountRef": {"name": "llm-blue"}}
    assert store(found, "-parameters")["spec"]["provider"]["aws"] == {
        "service": "ParameterStore",
        "region": "us-east-1",
        "auth": {"jwt": account},
    }
    assert store(found, "-vault")["spec"]["provider"]["vault"] == {
        "server": "https://vault.example.com:8200",
        "version": "v2",
        "auth": {"kubernetes": {"mountPath": "k8s", "role": "llm-blue", **account}},
    }
    everything = json.dumps([each.inputs for each in found.registrations])
    assert '"secretRef"' not in everything
    assert not found.all("core/v1:Secret")


def test_a_reference_may_be_an_output_of_the_secrets_component() -> None:
    found = made(references={"HF_TOKEN": pulumi.Output.from_input(ARN), "B": "ssm:/b"})
    data = found.one("ExternalSecret").inputs["spec"]["data"]
    assert [each["remoteRef"]["key"] for each in data] == ["/b", ARN]
    with pytest.raises(ValueError, match=r"references\.B = '\(not shown\)': is known too late for a store of vault"):
        made(references={"B": pulumi.Output.from_input("vault:secret/data/b#b")}, vault=VAULT, service_account="a")


def test_a_value_by_mistake_is_refused_and_not_repeated() -> None:
    for given in ("hf_secret", pulumi.Output.from_input("hf_secret")):
        with pytest.raises(ValueError, match=r"references\.HF_TOKEN = '\(not shown\)': is no reference") as error:
            made(references={"HF_TOKEN": given})
        assert "hf_secret" not in str(error.value)


def test_what_is_wrong_is_refused_all_at_once() -> None:
    with pytest.raises(ValueError) as error:
        made(namespace="LLM", refresh="0s", references={"PORT": "ssm:/a"})
    assert [line.partition(" = ")[0] for line in str(error.value).splitlines()] == ["namespace", "references.PORT", "refresh"]


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"name": "a_b"}, "name", "no name of an object"),
        ({"service_account": "A"}, "service_account", "no name of an object"),
        ({"role_arn": "role"}, "role_arn", "no ARN of a role"),
        ({"references": {}}, "references", "name nothing"),
        ({"references": {"A": "vault:x"}}, "references.A", "names no field"),
        ({"refresh": "often"}, "refresh", "no duration"),
        ({"refresh": "2d"}, "refresh", "too seldom"),
        ({"region": None}, "region", "secrets are in AWS"),
        ({"references": {"A": "vault:secret/data/a#b"}}, "vault", "secrets are in Vault"),
        ({"vault": VAULT, "service_account": "a"}, "vault", "asked for nothing"),
        ({"references": {"A": "vault:a/b#c"}, "vault": VAULT}, "service_account", "lets a service account in"),
        (
            {"references": {"A": "vault:a/b#c"}, "vault": {**VAULT, "address": "http://vault"}, "service_account": "a"},
            "vault.address",
            "encrypted",
        ),
    ],
)
def test_a_mistake_is_refused(changes: dict[str, Any], field: str, reason: str) -> None:
    found = faults(arguments(**changes))
    assert [(fault.field, reason in fault.reason) for fault in found] == [(field, True)], [str(fault) for fault in found]
