"""What a node's role may do, statement by statement."""

import json
from typing import Any

import pytest
from component_args import SHA, manifest
from turnout_components import node_document
from turnout_components.node_policy import node_policy

NAMED = node_document.named("prod", {"service": "svc", "environment": "green", "region": "us-east-1", "release": manifest()})
LOG = "arn:aws:logs:us-east-1:*:log-group:/turnout/svc/prod/green"
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:svc/green/hf-AbCdEf"
GROUP = f"arn:aws:autoscaling:us-east-1:*:autoScalingGroup:*:autoScalingGroupName/svc-prod-green-{'cd' * 6}"


def statements(
    buckets: Any = None, secrets: Any = None, region: str = "us-east-1", key: str | None = None, **release: Any
) -> dict[str, dict[str, Any]]:
    identity = {**NAMED, "region": region, "release": manifest(**release)}
    node = node_document.node(identity, {"port": 8000, "drain": 30}, {"secrets": secrets or {}})
    return {s["Sid"]: s for s in node_policy(node, buckets, key, "turnout/svc/prod/green/")["Statement"]}


def model(uri: str) -> dict[str, Any]:
    return {**manifest()["model"], "uri": uri}


def test_a_node_reads_its_own_release_and_tells_its_own_group_only() -> None:
    found = {sid: (s["Action"], s["Resource"]) for sid, s in statements().items()}
    assert found == {
        "WriteOwnLog": (["logs:CreateLogStream", "logs:PutLogEvents"], [LOG, f"{LOG}:*"]),
        "ReadOwnModel": (["s3:GetObject"], ["arn:aws:s3:::models/llm/1.0.0", "arn:aws:s3:::models/llm/1.0.0/*"]),
        "DecryptOwnModel": (["kms:Decrypt"], ["arn:aws:kms:us-east-1:*:key/*"]),
        "PullOwnImage": (
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            ["arn:aws:ecr:us-east-1:123456789012:repository/serving/vllm"],
        ),
        "LogInToRegistry": (["ecr:GetAuthorizationToken"], ["*"]),
        "TellOwnGroup": (
            [
                "autoscaling:CompleteLifecycleAction",
                "autoscaling:RecordLifecycleActionHeartbeat",
                "autoscaling:SetInstanceProtection",
            ],
            [GROUP],
        ),
        "PublishMetrics": (["cloudwatch:PutMetricData"], ["*"]),
    }


def test_metrics_are_held_to_the_kit_s_namespace() -> None:
    assert statements()["PublishMetrics"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Turnout"}}


def test_the_model_is_decrypted_through_s3_and_only_this_one() -> None:
    assert statements(model=model("s3://models/llm/1.0.0/"))["DecryptOwnModel"]["Condition"] == {
        "StringEquals": {"kms:ViaService": ["s3.us-east-1.amazonaws.com"]},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": ["arn:aws:s3:::models", "arn:aws:s3:::models/llm/1.0.0/*"]},
    }


def test_a_folder_gives_right_to_what_is_below_it_and_to_no_neighbour() -> None:
    assert statements(model=model("s3://models/llm/1.0/"))["ReadOwnModel"]["Resource"] == ["arn:aws:s3:::models/llm/1.0/*"]


def test_secrets_are_read_by_arn_and_decrypted_by_name() -> None:
    found = statements(secrets={"HF": ARN, "DB": f"{ARN}#password", "KEY": "ssm:/svc/key", "B": ARN})
    assert found["ReadOwnSecrets"]["Resource"] == [ARN]
    assert found["DecryptOtherSecrets"]["Condition"] == {
        "StringEquals": {"kms:ViaService": ["secretsmanager.us-east-1.amazonaws.com"]},
        "StringLike": {"kms:EncryptionContext:SecretARN": [ARN]},
    }
    parameter = "arn:aws:ssm:us-east-1:*:parameter/svc/key"
    assert (found["ReadOwnParameters"]["Action"], found["ReadOwnParameters"]["Resource"]) == (["ssm:GetParameter"], [parameter])
    assert found["DecryptOwnParameters"]["Condition"]["StringLike"] == {"kms:EncryptionContext:PARAMETER_ARN": [parameter]}


def test_the_environment_s_own_secrets_are_decrypted_with_its_key_only_and_others_by_name() -> None:
    own = "arn:aws:secretsmanager:us-east-1:123456789012:secret:turnout/svc/prod/green/HF-AbCdEf"
    alike = own.replace("/green/", "/greenish/")
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    found = statements(secrets={"HF": own, "X": ARN, "Y": alike}, key=key)
    assert found["ReadOwnSecrets"]["Resource"] == sorted([own, ARN, alike])
    assert found["DecryptOwnSecrets"]["Resource"] == [key]
    assert found["DecryptOwnSecrets"]["Condition"] == {
        "StringEquals": {"kms:ViaService": ["secretsmanager.us-east-1.amazonaws.com"]},
        "StringLike": {"kms:EncryptionContext:SecretARN": [own]},
    }
    assert found["DecryptOtherSecrets"]["Resource"] == ["arn:aws:kms:us-east-1:*:key/*"]
    assert found["DecryptOtherSecrets"]["Condition"]["StringLike"] == {"kms:EncryptionContext:SecretARN": sorted([ARN, alike])}
    assert "DecryptOtherSecrets" not in statements(secrets={"HF": own}, key=key)


def test_a_key_in_s3_is_taken_as_it_is() -> None:
    assert statements(model=model("s3://models/*/"))["ReadOwnModel"]["Resource"] == ["arn:aws:s3:::models/${*}/*"]
    assert "ReadOwnModel" not in statements(model=model("s3://models/"))


def test_a_node_without_secrets_may_read_none() -> None:
    assert not {sid for sid in statements() if "Secret" in sid or "Parameter" in sid}


@pytest.mark.parametrize("release", [{}, {"image": f"vllm/vllm-openai@{SHA}"}, {"model": model("file:model")}])
def test_no_action_is_a_wildcard_and_only_what_names_no_resource_has_none(release: dict[str, Any]) -> None:
    found = statements(secrets={"HF": ARN}, **release)
    assert not [action for s in found.values() for action in s["Action"] if "*" in action]
    assert {sid for sid, s in found.items() if s["Resource"] == ["*"]} <= {"LogInToRegistry", "PublishMetrics"}


def test_an_image_and_a_model_from_elsewhere_give_no_right() -> None:
    found = statements(image=f"vllm/vllm-openai@{SHA}", model=model("https://example.com/model.gguf"))
    assert set(found) == {"WriteOwnLog", "TellOwnGroup", "PublishMetrics"}


def test_a_model_outside_the_artifact_buckets_is_refused() -> None:
    assert "ReadOwnModel" in statements(buckets=["models"])
    with pytest.raises(ValueError, match="is in none of the artifact buckets store; copy it there"):
        statements(buckets=["store"])


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_other_partitions_have_their_own_arns(region: str, partition: str) -> None:
    text = json.dumps(statements(region=region, secrets={"K": "ssm:/k"}))
    assert f"arn:{partition}:autoscaling:{region}" in text
    assert "arn:aws:s3" not in text
    assert ("s3.cn-north-1.amazonaws.com.cn" in text) == (region == "cn-north-1")
