"""The component of an environment on Kubernetes: which objects it makes, after what, and what it refuses at once."""

import json
from typing import Any

import pulumi
import pytest
from component_args import BALANCER, DIGEST, RELEASE_ID, SERVICE, SHA, manifest, target_group
from pod_args import FETCHER, in_image
from pulumi_aws import ec2
from recording import Recording, record
from turnout_components.model_deployment import ModelDeployment

NAME = f"{SERVICE}-green"
WORKLOAD = f"{NAME}-{DIGEST[7:15]}"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:hf-AbCdEf"


def environment(preview: bool = False, **changes: Any) -> Recording:
    args: Any = {"service": SERVICE, "environment": "green", "release": in_image(), **changes}

    def program() -> dict[str, pulumi.Output[Any]]:
        rule = ec2.SecurityGroup("stand-in-for-a-rule")
        made = ModelDeployment(NAME, args, pulumi.ResourceOptions(depends_on=[rule]))
        outputs = ("group", "target_group", "workload_name", "release", "role_name")
        return {key: getattr(made, key) for key in outputs}

    return record(program, preview)


def kinds(made: Recording) -> set[str]:
    return {r.type.rpartition(":")[2] for r in made.registrations if r.parent == NAME}


def identity(**more: Any) -> dict[str, Any]:
    return {"cluster_name": "gpus", "region": "us-east-1", **more}


def statements(made: Recording) -> dict[str, Any]:
    return {one["Sid"]: one for one in json.loads(made.one(":RolePolicy").inputs["policy"])["Statement"]}


def test_service_and_environment_are_enough_beside_a_release() -> None:
    made = environment()
    assert kinds(made) == {"Service", "NetworkPolicy", "ServiceAccount", "Deployment", "PodDisruptionBudget"}
    assert made.outputs == {
        "group": f"Deployment/{SERVICE}/{WORKLOAD}",
        "target_group": f"Service/{SERVICE}/{NAME}",
        "workload_name": WORKLOAD,
        "release": RELEASE_ID,
        "role_name": None,
    }
    assert {r.inputs["metadata"]["namespace"] for r in made.registrations if r.parent == NAME} == {SERVICE}


def test_an_environment_without_release_keeps_its_service_for_routes_that_name_it() -> None:
    made = environment(release=None)
    assert kinds(made) == {"Service", "NetworkPolicy"}
    assert made.outputs["target_group"] == f"Service/{SERVICE}/{NAME}"
    assert made.outputs["group"] is made.outputs["workload_name"] is made.outputs["release"] is None


def test_a_new_release_replaces_the_workload_which_goes_first_and_may_take_its_drain() -> None:
    made = environment(drain=900, let_go=30).one(":Deployment")
    assert made.inputs["metadata"]["name"] == WORKLOAD
    assert made.request.deleteBeforeReplace is True
    assert int(made.request.customTimeouts.delete.removesuffix("s")) > 930


def test_the_workload_comes_after_what_its_pods_need_and_what_the_environment_comes_after() -> None:
    made = environment(release=manifest(), fetch_image=FETCHER, identity=identity(), target_group_arn=target_group("green"))
    assert made.one(":Deployment").dependencies >= {
        "stand-in-for-a-rule",
        f"{NAME}-account",
        f"{NAME}-network",
        f"{NAME}-targets",
        f"{NAME}-identity",
        f"{NAME}-policy",
    }


def test_pulumi_waits_for_neither_servers_nor_endpoints_but_the_gate_does() -> None:
    made = environment()
    for kind in (":Service", ":Deployment"):
        assert made.one(kind).inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"


def test_pods_run_as_an_account_of_their_own_without_a_token() -> None:
    made = environment()
    account = made.one(":ServiceAccount").inputs
    assert account["automountServiceAccountToken"] is False
    assert made.one(":Deployment").inputs["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]


def test_a_sharded_model_is_run_by_a_leaderworkerset() -> None:
    changes: Any = {"service": "assistant", "release": manifest(), "fetch_image": FETCHER, "nodes_per_replica": 2}
    made = environment(**changes)
    assert kinds(made) == {"Service", "NetworkPolicy", "ServiceAccount", "LeaderWorkerSet", "PodDisruptionBudget"}
    found = made.one(":LeaderWorkerSet")
    assert found.inputs["apiVersion"] == "leaderworkerset.x-k8s.io/v1"
    assert found.request.deleteBeforeReplace is True
    assert made.outputs["group"] == f"LeaderWorkerSet/assistant/assistant-green-{DIGEST[7:15]}"


def test_on_eks_the_service_is_bound_to_the_target_group_that_the_switch_names() -> None:
    made = environment(target_group_arn=target_group("green"), balancer_security_group_id="sg-1")
    found = made.one(":TargetGroupBinding")
    assert (list(found.request.replaceOnChanges), found.request.deleteBeforeReplace) == (["spec.targetGroupARN"], True)
    binding = found.inputs["spec"]
    assert made.outputs["target_group"] == binding["targetGroupARN"] == target_group("green")
    assert binding["serviceRef"] == {"name": NAME, "port": 80}
    assert binding["networking"]["ingress"][0]["from"] == [{"securityGroup": {"groupID": "sg-1"}}]


def test_on_eks_alarms_watch_the_targets_and_their_answers() -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:oncall"
    reached: Any = {"target_group_arn": target_group("green"), "load_balancer_arn": BALANCER, "alarm_topic_arns": [topic]}
    alarms = [one.inputs for one in environment(**reached).all(":MetricAlarm")]
    assert {one["metricName"] for one in alarms} == {"UnHealthyHostCount", "HTTPCode_Target_5XX_Count"}
    targets = {"LoadBalancer": "app/svc/50dc6c495c0c9188", "TargetGroup": "targetgroup/svc-green/73e2d6bc24d8a067"}
    assert all(one["dimensions"] == targets and one["alarmActions"] == [topic] for one in alarms)
    assert environment(**reached, release=None).all(":MetricAlarm") == []


def test_the_role_is_of_this_account_in_this_namespace_of_this_cluster() -> None:
    made = environment(identity=identity())
    (statement,) = json.loads(made.one(":Role").inputs["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": "gpus",
        "aws:RequestTag/kubernetes-namespace": SERVICE,
        "aws:RequestTag/kubernetes-service-account": NAME,
    }
    association = made.one(":PodIdentityAssociation").inputs
    given = {key: association[key] for key in ("clusterName", "namespace", "serviceAccount")}
    assert given == {"clusterName": "gpus", "namespace": SERVICE, "serviceAccount": NAME}
    assert made.one(":Role").inputs["tags"]["turnout:environment"] == "green"
    assert made.outputs["role_name"] is not None


def test_the_role_reads_its_own_model_and_secrets_only() -> None:
    made = environment(release=manifest(), fetch_image=FETCHER, identity=identity(secrets={"HF_TOKEN": SECRET}))
    found = statements(made)
    assert {(action, one) for s in found.values() for action in s["Action"] for one in s["Resource"] if "kms" not in one} == {
        ("s3:GetObject", "arn:aws:s3:::models/llm/1.0.0"),
        ("s3:GetObject", "arn:aws:s3:::models/llm/1.0.0/*"),
        ("secretsmanager:GetSecretValue", SECRET),
    }
    assert all(s["Condition"]["StringEquals"]["kms:ViaService"] for sid, s in found.items() if sid.startswith("Decrypt"))


def test_a_role_whose_pods_need_nothing_of_aws_may_do_nothing() -> None:
    found = statements(environment(identity=identity()))
    assert [one["Effect"] for one in found.values()] == ["Deny"]


def test_a_model_in_another_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="none of the artifact buckets"):
        environment(release=manifest(), fetch_image=FETCHER, identity=identity(artifact_buckets=["theirs"]))


def test_everything_wrong_is_refused_before_anything_is_made() -> None:
    with pytest.raises(ValueError, match="fetch_image") as raised:
        environment(release=manifest(), user=0, port=80)
    assert len(str(raised.value).splitlines()) == 3


def test_what_only_an_update_knows_is_refused_when_it_is_known() -> None:
    with pytest.raises(ValueError, match="user"):
        environment(user=pulumi.Output.from_input(0))


def test_what_is_misspelt_is_refused() -> None:
    with pytest.raises(ValueError, match="write drain"):
        environment(drian=30)


def test_a_timeout_stands_where_the_drain_is_an_output() -> None:
    made = environment(drain=pulumi.Output.from_input(60))
    assert int(made.one(":Deployment").request.customTimeouts.delete.removesuffix("s")) > 3600
    assert made.one(":Deployment").inputs["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 95


def test_the_image_is_the_releases_by_digest() -> None:
    (server,) = environment().one(":Deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert server["image"] == in_image()["image"]
    assert server["image"].endswith(SHA)
