"""What the component registers, with recording mocks, and what it refuses."""

import json
from typing import Any

import pulumi
import pytest
from component_args import SERVICE, pool_args
from pulumi.runtime import rpc
from recording import ACCOUNT, Recording, record
from turnout_components import secret_rules
from turnout_components.access_policies import key_policy, secret_policy
from turnout_components.gpu_node_pool import GpuNodePool
from turnout_components.service_secrets import ServiceSecrets

NAME = f"{SERVICE}-green-secrets"
PREFIX = f"turnout/{SERVICE}/test/green/"
OTHER = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:legacy/db-AbCdEf"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:rotate"
VALUE = "pl4nted-hunter2"


def made(**changes: Any) -> Recording:
    args: Any = {"service": SERVICE, "environment": "green", "names": ["HF_TOKEN"], **changes}

    def program() -> dict[str, Any]:
        component = ServiceSecrets(NAME, args)
        return {"references": component.references, "key": component.key_arn}

    return record(program)


def test_a_name_makes_a_secret_that_the_component_s_own_key_encrypts() -> None:
    found = made()
    secret = found.one(":Secret").inputs
    assert secret["name"] == f"{PREFIX}HF_TOKEN"
    assert secret["kmsKeyId"] == found.outputs["key"]
    assert secret["recoveryWindowInDays"] == 30
    assert secret["tags"] == {"turnout:service": SERVICE, "turnout:environment": "green"}
    assert found.outputs["references"] == {
        "HF_TOKEN": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{PREFIX}HF_TOKEN-AbCdEf"
    }
    assert not found.all(":SecretVersion")
    assert not found.all(":SecretRotation")


def test_the_key_rotates_has_a_name_and_is_kept_as_long_as_a_secret() -> None:
    found = made(recovery_window_days=10)
    key, alias = found.one("kms/key:Key").inputs, found.one(":Alias").inputs
    assert (key["enableKeyRotation"], key["deletionWindowInDays"]) == (True, 10)
    assert (alias["name"], alias["targetKeyId"]) == (f"alias/{PREFIX}secrets", f"{NAME}-key-key")
    assert made(recovery_window_days=0).one("kms/key:Key").inputs["deletionWindowInDays"] == 7


def test_the_key_is_administered_by_the_account_and_used_through_secrets_manager_only() -> None:
    found = made()
    policy = found.one(":KeyPolicy").inputs
    assert policy["keyId"] == f"{NAME}-key-key"
    statements = {s["Sid"]: s for s in json.loads(policy["policy"])["Statement"]}
    assert set(statements) == {"Administer", "UseThroughItsServices"}
    assert {s["Principal"]["AWS"] for s in statements.values()} == {f"arn:aws:iam::{ACCOUNT}:root"}
    assert statements["UseThroughItsServices"]["Condition"] == {
        "StringEquals": {"kms:ViaService": ["secretsmanager.us-east-1.amazonaws.com"]}
    }
    free = set(statements["Administer"]["Action"])
    assert {"kms:CreateAlias", "kms:Put*", "kms:ScheduleKeyDeletion"} <= free
    assert not free & {"kms:*", "kms:Create*", "kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"}


def test_a_key_in_another_partition_has_its_account_and_services_there() -> None:
    text = json.dumps(key_policy("arn:aws-cn:kms:cn-north-1:123456789012:key/1", ["s3"]))
    assert "arn:aws-cn:iam::123456789012:root" in text
    assert "s3.cn-north-1.amazonaws.com.cn" in text


def test_a_secret_is_made_when_its_key_may_be_used() -> None:
    assert f"{NAME}-key-policy" in made().one(":Secret").dependencies


def test_no_role_of_another_environment_or_service_reads_it_and_who_has_no_tag_is_not_concerned() -> None:
    statements = json.loads(made().one(":Secret").inputs["policy"])["Statement"]
    assert {(s["Effect"], s["Principal"], s["Action"]) for s in statements} == {("Deny", "*", "secretsmanager:GetSecretValue")}
    conditions = {json.dumps(s["Condition"]["StringNotEquals"]): s["Condition"]["Null"] for s in statements}
    assert conditions == {
        json.dumps({"aws:PrincipalTag/turnout:service": SERVICE}): {
            "aws:PrincipalTag/turnout:environment": "false",
            "aws:PrincipalTag/turnout:service": "false",
        },
        json.dumps({"aws:PrincipalTag/turnout:environment": "green"}): {"aws:PrincipalTag/turnout:environment": "false"},
    }


def test_the_pool_s_role_has_the_tags_that_the_policy_looks_at() -> None:
    tags = record(lambda: {"group": GpuNodePool("pool", pool_args()).group_name}).one(":Role").inputs["tags"]
    asked = {key for s in secret_policy("svc", "green")["Statement"] for key in s["Condition"]["StringNotEquals"]}
    assert {key: tags[key.removeprefix("aws:PrincipalTag/")] for key in asked} == {
        "aws:PrincipalTag/turnout:service": SERVICE,
        "aws:PrincipalTag/turnout:environment": "green",
    }


def test_a_seed_is_written_by_the_input_that_is_never_read_back() -> None:
    version = made(names=["HF_TOKEN", "LATER"], seeds={"HF_TOKEN": VALUE}).one(":SecretVersion")
    assert version.name == f"{NAME}-HF_TOKEN-seed-1"
    assert "secretString" not in version.inputs
    assert version.inputs["secretStringWo"] == {rpc._special_sig_key: rpc._special_secret_sig, "value": VALUE}
    assert version.inputs["secretStringWoVersion"] == 1


def test_a_seeded_version_stays_found_and_never_takes_the_current_label_back() -> None:
    version = made(seeds={"HF_TOKEN": VALUE}).one(":SecretVersion")
    assert version.inputs["versionStages"] == ["AWSCURRENT", "turnout-seed-1"]
    assert list(version.request.ignoreChanges) == ["versionStages"]
    assert version.request.retainOnDelete


def test_a_higher_number_is_another_version_with_labels_of_its_own() -> None:
    version = made(seeds={"HF_TOKEN": VALUE}, seed_version=3).one(":SecretVersion")
    assert version.name == f"{NAME}-HF_TOKEN-seed-3"
    assert version.inputs["versionStages"] == ["AWSCURRENT", "turnout-seed-3"]
    assert version.inputs["secretStringWoVersion"] == 3


def test_seeds_alone_are_the_names_and_no_value_leaves_the_component() -> None:
    found = made(names=["A", "B"], seeds={"A": VALUE})
    args: Any = {"service": "svc", "environment": "green", "seeds": {"A": VALUE}}
    alone = record(lambda: {"references": ServiceSecrets("secrets", args).references})
    assert [s.name for s in alone.all(":Secret")] == ["secrets-A"]
    others = [r for r in (*found.registrations, *alone.registrations) if not r.type.endswith(":SecretVersion")]
    assert not [r.name for r in others if VALUE in str(r.request)]
    assert VALUE not in str(found.outputs) + str(alone.outputs)


def test_who_uses_a_reference_comes_after_the_first_value() -> None:
    def program() -> None:
        secrets = ServiceSecrets(NAME, {"service": "svc", "environment": "green", "seeds": {"A": VALUE}})
        pulumi.CustomResource("test:index:User", "user", {"secrets": secrets.references})

    assert f"{NAME}-A-seed-1" in record(program).one(":User").dependencies


def test_references_to_elsewhere_are_passed_on_and_make_nothing() -> None:
    elsewhere = {"A": "ssm:/svc/green/a", "B": "vault:secret/data/svc#key", "C": OTHER, "D": f"{OTHER}#password"}
    found = made(names=[], references=elsewhere)
    assert found.outputs == {"references": elsewhere, "key": None}
    assert [r.type for r in found.registrations] == ["turnout-components:index:ServiceSecrets"]


def test_rotation_is_the_function_s_of_each_name_and_not_within_this_update() -> None:
    found = made(names=["A", "B"], seeds={"A": VALUE}, rotation={"lambda_arn": FUNCTION, "days": 30})
    rotations = {r.name: r for r in found.all(":SecretRotation")}
    assert set(rotations) == {f"{NAME}-A-rotation", f"{NAME}-B-rotation"}
    first = rotations[f"{NAME}-A-rotation"]
    assert first.inputs["rotationLambdaArn"] == FUNCTION
    assert first.inputs["rotationRules"] == {"automaticallyAfterDays": 30}
    assert first.inputs["rotateImmediately"] is False
    assert f"{NAME}-A-seed-1" in first.dependencies


def test_every_child_has_the_component_as_parent() -> None:
    found = made(seeds={"HF_TOKEN": VALUE}, rotation={"lambda_arn": FUNCTION, "days": 30})
    assert {r.parent for r in found.registrations[1:]} == {NAME}


def test_an_output_that_turns_out_to_be_a_value_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match=r"A = '\(not shown\)': is no reference to a secret; a value belongs") as error:
        made(references={"A": pulumi.Output.from_input(VALUE)})
    assert VALUE not in str(error.value)


GOOD: Any = {"own": ["A"], "seeds": {"A": VALUE}, "references": {"B": OTHER}}
REFUSED: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"own": ["1A"], "seeds": {}}, "names.1A", "no environment variable"),
    ({"own": ["PORT"], "seeds": {}}, "names.PORT", "the node sets itself"),
    ({"references": {"TURNOUT_MODEL": OTHER}}, "names.TURNOUT_MODEL", "the node sets itself"),
    ({"own": ["A", "A"]}, "names.A", "twice"),
    ({"seeds": {"A": VALUE, "Z": VALUE}}, "seeds.Z", "unknown name"),
    ({"references": {"A": OTHER}}, "references.A", "both"),
    ({"seeds": {"A": ""}}, "seeds.A", "no text of 1 to 65536 bytes"),
    ({"seeds": {"A": "x" * 65_537}}, "seeds.A", "no text of 1 to 65536 bytes"),
    ({"version": 0}, "seed_version", "below 1"),
    ({"references": {"B": VALUE}}, "references.B", "a value belongs nowhere but into `seeds`"),
    ({"references": {"B": "arn:aws:secretsmanager:us-east-1:12:secret:x"}}, "references.B", "no ARN of a secret"),
    ({"references": {"B": f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/x"}}, "references.B", "no ARN of a secret"),
    ({"references": {"B": "ssm:svc/key"}}, "references.B", "no parameter by its path"),
    ({"references": {"B": "vault:secret/data/svc"}}, "references.B", "no field of a secret in Vault"),
    ({"rotated": (FUNCTION, 0)}, "rotation.days", "no time between two rotations"),
    ({"rotated": (FUNCTION, 1001)}, "rotation.days", "no time between two rotations"),
    ({"rotated": ("rotate", 30)}, "rotation.lambda_arn", "no ARN of a Lambda function"),
    ({"rotated": (FUNCTION, 30), "own": [], "seeds": {}}, "rotation", "nothing to rotate"),
    ({"recovery": 6}, "recovery_window_days", "no recovery window"),
    ({"recovery": 31}, "recovery_window_days", "no recovery window"),
    ({"place_of": ("a service", "green")}, "service", "part of a key's alias"),
)


@pytest.mark.parametrize(("changes", "field", "reason"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_aws_refuses_is_refused_by_field_and_never_shows_a_value(changes: Any, field: str, reason: str) -> None:
    found = secret_rules.faults(**{**GOOD, **changes})
    assert [f.field for f in found] == [field]
    assert reason in found[0].reason
    assert VALUE not in repr(found)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rotated": (FUNCTION, 1)},
        {"rotated": (f"{FUNCTION}:live", 1000)},
        {"recovery": 0},
        {"recovery": 7},
        {"recovery": 30},
        {"references": {"B": f"{OTHER}#password", "_C": "ssm:/a/b.c-d_e", "D": "vault:kv/svc#key"}},
        {"place_of": (SERVICE, "blue")},
        {"seeds": {"A": pulumi.Output.from_input("")}},
    ],
    ids=lambda changes: "-".join(changes) or "nothing",
)
def test_what_aws_allows_is_allowed(changes: Any) -> None:
    assert secret_rules.faults(**{**GOOD, **changes}) == []


def test_all_faults_come_at_once_and_before_anything_is_registered() -> None:
    with pytest.raises(ValueError, match="recovery_window_days = 3") as error:
        made(names=["1A"], recovery_window_days=3)
    assert len(str(error.value).splitlines()) == 2
