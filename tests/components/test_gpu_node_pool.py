import base64
import json

import pulumi
from component_args import DIGEST, RELEASE_ID, SERVICE, manifest, pool_args, target_group
from pulumi_aws import ec2
from recording import AUTO_SUFFIX, Recording, record
from turnout_components.gpu_node_pool import GpuNodePool
from turnout_components.user_data import read_release

NAME = f"{SERVICE}-green-pool"


def pool(**changes) -> Recording:
    return record(lambda: {"group": GpuNodePool(NAME, pool_args(**changes)).group_name})


def template(**changes):
    return pool(**changes).one(":LaunchTemplate").inputs


def test_the_metadata_service_wants_tokens_and_answers_the_host_only():
    options = template(release=manifest(model={**manifest()["model"], "uri": "file:model"}))["metadataOptions"]
    assert options == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
        "instanceMetadataTags": "enabled",
    }


def test_a_container_that_streams_its_model_from_s3_gets_one_hop_more():
    engine = {"name": "vllm", "flags": ["--model=s3://models/llm/1.0.0"]}
    assert template(release=manifest(engine=engine))["metadataOptions"]["httpPutResponseHopLimit"] == 2
    assert template()["metadataOptions"]["httpPutResponseHopLimit"] == 1


def test_the_root_volume_is_encrypted_gp3_and_goes_with_the_instance():
    (device,) = template(disk_gib=200)["blockDeviceMappings"]
    assert device["deviceName"] == "/dev/xvda"
    assert device["ebs"] == {"volumeType": "gp3", "volumeSize": 200, "encrypted": "true", "deleteOnTermination": "true"}


def test_nodes_have_no_public_address():
    (interface,) = template()["networkInterfaces"]
    assert interface["associatePublicIpAddress"] == "false"
    assert interface["securityGroups"] == [f"{NAME}-nodes-id"]


def test_user_data_carries_the_release():
    node = read_release(base64.b64decode(template(port=9000)["userData"]).decode())
    assert node is not None
    assert (node["service"], node["environment"], node["port"], node["release"]) == (SERVICE, "green", 9000, manifest())


def test_only_the_load_balancer_reaches_the_serving_port():
    made = pool(port=9000)
    (inward,) = made.all(":SecurityGroupIngressRule")
    assert inward.inputs["securityGroupId"] == f"{NAME}-nodes-id"
    assert inward.inputs["referencedSecurityGroupId"] == "sg-balancer"
    assert (inward.inputs["ipProtocol"], inward.inputs["fromPort"], inward.inputs["toPort"]) == ("tcp", 9000, 9000)
    assert "cidrIpv4" not in inward.inputs
    nodes = made.one(":SecurityGroup").inputs
    assert "ingress" not in nodes
    assert "egress" not in nodes


def test_the_load_balancer_may_reach_these_nodes():
    rule = pool().one(":SecurityGroupEgressRule", "-to-nodes").inputs
    assert rule["securityGroupId"] == "sg-balancer"
    assert rule["referencedSecurityGroupId"] == f"{NAME}-nodes-id"


def test_nodes_leave_by_https_only():
    rule = pool().one(":SecurityGroupEgressRule", "-https-out").inputs
    assert (rule["securityGroupId"], rule["cidrIpv4"]) == (f"{NAME}-nodes-id", "0.0.0.0/0")
    assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (443, 443, "tcp")


def test_the_role_is_for_ec2():
    role = pool().one(":Role").inputs
    assert json.loads(role["assumeRolePolicy"])["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_the_group_is_named_for_its_release_and_sized_without_a_desired_capacity():
    made = pool(minimum=2, maximum=6)
    group = made.one(":Group")
    assert group.inputs["name"] == f"{SERVICE}-{pulumi.get_stack()}-green-{'cd' * 6}"
    assert made.outputs["group"] == group.inputs["name"]
    assert (group.inputs["minSize"], group.inputs["maxSize"]) == (2, 6)
    assert "desiredCapacity" not in group.inputs
    assert group.inputs["waitForCapacityTimeout"] == "0"
    assert group.inputs["healthCheckType"] == "EC2"
    assert group.inputs["targetGroupArns"] == [target_group("green")]
    assert group.inputs["vpcZoneIdentifiers"] == ["subnet-a", "subnet-b"]


def test_the_group_runs_one_version_of_the_template_on_demand():
    group = pool().one(":Group").inputs
    assert group["launchTemplate"] == {"id": f"{NAME}-template-id", "version": "7"}
    assert "mixedInstancesPolicy" not in group
    assert "instanceMarketOptions" not in template()


def test_a_new_release_deletes_the_old_group_first_and_gives_it_time_to_drain():
    request = pool(drain=900).one(":Group").request
    assert request.deleteBeforeReplace
    assert request.customTimeouts.delete == "1500s"


def test_instances_say_what_they_run():
    tags = {t["key"]: (t["value"], t["propagateAtLaunch"]) for t in pool().one(":Group").inputs["tags"]}
    assert tags["turnout:service"] == (SERVICE, True)
    assert tags["turnout:stack"] == ("test", True)
    assert tags["turnout:environment"] == ("green", True)
    assert tags["turnout:release"] == (RELEASE_ID, True)
    assert {s["resourceType"] for s in template()["tagSpecifications"]} == {"instance", "volume", "network-interface"}


def test_the_group_comes_after_what_its_instances_need_and_after_the_test_rule():
    def program():
        rule = ec2.SecurityGroup("stand-in-for-a-rule")
        GpuNodePool(NAME, pool_args(), pulumi.ResourceOptions(depends_on=[rule]))

    needs = record(program).one(":Group").dependencies
    assert {"stand-in-for-a-rule", f"{NAME}-policy", f"{NAME}-from-balancer", f"{NAME}-to-nodes", f"{NAME}-https-out"} <= needs


def test_names_fit_the_limits_of_aws_with_the_longest_service_name():
    made = pool()
    assert len(SERVICE) == 40
    assert len(made.one(":Role").name + AUTO_SUFFIX) <= 64
    assert len(made.one(":Group").inputs["name"]) <= 255
    assert len(made.one(":LaunchTemplate").name + AUTO_SUFFIX) <= 128
    assert DIGEST.removeprefix("sha256:")[:12] in made.one(":Group").inputs["name"]


def test_a_longer_name_still_makes_a_role():
    made = record(lambda: {"role": GpuNodePool("x" * 90, pool_args()).role_name})
    assert len(made.outputs["role"]) <= 64


def test_every_child_has_the_pool_as_parent():
    assert {r.parent for r in pool().registrations[1:]} == {NAME}
