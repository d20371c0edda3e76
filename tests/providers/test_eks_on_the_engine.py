"""EksCluster and EksNodeGroup as they are composed: made by the local engine, found the same, changed, and gone again."""

from pathlib import Path

import pytest
from moto.iam.models import iam_backends
from turnout_components.eks_lookup import EksError, look_up

from tests.engine_state.bench import Project
from tests.providers.conftest import World
from turnout.engine.command import LocalEngineCommand
from turnout.providers import registry
from turnout.providers.aws.clients import ENDPOINT_KEYS

PROVIDER = """
import pulumi
import pulumi_aws as aws
from turnout_components.eks_cluster import EksCluster
from turnout_components.eks_node_group import EksNodeGroup
from turnout_components.network import Network

provider = aws.Provider("aws", region="us-east-1", access_key="test", secret_key="test",
    skip_credentials_validation=True, skip_metadata_api_check=True, skip_region_validation=True,
    skip_requesting_account_id=True, endpoints=[dict.fromkeys({keys!r}, {endpoint!r})])
on = pulumi.ResourceOptions(provider=provider)
"""
PROGRAM = (
    PROVIDER
    + """
network = Network("net", dict(cidr="10.70.0.0/16", zones=["us-east-1a", "us-east-1b"], nat="none",
    flow_logs=dict(enabled=False)), on)
cluster = EksCluster("k", dict(name="models", region="us-east-1", version={version!r}, vpc_id=network.vpc_id,
    subnet_ids=network.private_subnet_ids, admins=dict(ops="arn:aws:iam::123456789012:role/ops"),
    deletion_protection={protected!r}, service_cidr="172.21.0.0/16"), on)
nodes = EksNodeGroup("gpu", dict(cluster_name=cluster.name, region="us-east-1", subnet_ids=network.private_subnet_ids,
    security_group_id=cluster.security_group_id, maximum={maximum!r}, instance_store=True,
    warm_pool=dict(minimum=1, maximum_prepared=6)), pulumi.ResourceOptions(provider=provider, depends_on=[cluster]))
pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("group", cluster.security_group_id)
"""
)
EXISTING = (
    PROVIDER
    + """
cluster = EksCluster("k", dict(name={name!r}, region="us-east-1", exists=True, **{found!r}), on)
nodes = EksNodeGroup("gpu", dict(cluster_name=cluster.name, region="us-east-1", subnet_ids={subnets!r},
    security_group_id=cluster.security_group_id), pulumi.ResourceOptions(provider=provider, depends_on=[cluster]))
pulumi.export("kubeconfig", cluster.kubeconfig)
"""
)
BEFORE, AFTER = {"version": "1.33", "protected": True, "maximum": 4}, {"version": "1.34", "protected": False, "maximum": 5}


@pytest.fixture
def managed_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's own policies, which the local cloud loads too."""
    monkeypatch.setattr("moto.iam.models.load_iam_aws_managed_policies", lambda: True)
    backend = iam_backends["123456789012"]["aws"]
    monkeypatch.setattr(backend, "aws_managed_policies", backend._init_aws_policies())
    monkeypatch.setattr(backend, "managed_policies", {**backend._init_managed_policies(), **backend.managed_policies})


def project_of(folder: Path) -> Project:
    project = Project(folder)
    options = project.options({})
    options.pulumi_command = LocalEngineCommand(project.home, registry())
    project.options = lambda _: options  # type: ignore[method-assign]
    return project


@pytest.mark.slow
@pytest.mark.usefixtures("managed_policies")
def test_all_of_it_is_made_found_the_same_upgraded_and_gone_again(world: World, endpoint: str, tmp_path: Path) -> None:
    """By default: nodes of a cluster that exists, below, and every type's life in test_life_cycle.py."""
    project = project_of(tmp_path)

    def program(settings: dict[str, object]) -> None:
        project.program(PROGRAM.format(endpoint=endpoint, keys=sorted(ENDPOINT_KEYS), **settings))

    program(BEFORE)
    stack, api = project.stack(), world.api("eks")
    outputs = stack.up().outputs
    assert '"command": "aws"' in outputs["kubeconfig"].value
    made = api.describe_cluster(name="models")["cluster"]
    assert outputs["group"].value == made["resourcesVpcConfig"]["clusterSecurityGroupId"]
    stack.refresh()
    assert set(stack.up().summary.resource_changes or {}) == {"same"}
    addons = {
        name: api.describe_addon(clusterName="models", addonName=name)["addon"]
        for name in api.list_addons(clusterName="models")["addons"]
    }
    assert {addon["status"] for addon in addons.values()} == {"ACTIVE"}
    assert len(addons) == 7
    (gpu,) = (name for name in api.list_nodegroups(clusterName="models")["nodegroups"] if name.startswith("gpu"))
    api.update_nodegroup_config(clusterName="models", nodegroupName=gpu, scalingConfig={"desiredSize": 3})

    program(AFTER)
    stack.refresh()  # as Pulumi.yaml says: the desired size that stays is the one that was read last
    stack.up()
    found = api.describe_nodegroup(clusterName="models", nodegroupName=gpu)["nodegroup"]
    assert found["scalingConfig"] == {"minSize": 1, "desiredSize": 3, "maxSize": 5}
    assert api.describe_cluster(name="models")["cluster"]["version"] == "1.34"
    stack.destroy()
    assert "models" not in api.list_clusters()["clusters"]


@pytest.mark.usefixtures("managed_policies")
def test_a_cluster_that_exists_is_looked_up_gets_nodes_and_is_left_there(world: World, endpoint: str, tmp_path: Path) -> None:
    api, name = world.api("eks"), world.name("held")
    with pytest.raises(EksError, match="there is none in the region"):
        look_up(api, name)
    role = f"arn:aws:iam::123456789012:role/{world.role()}"
    made = api.create_cluster(name=name, roleArn=role, resourcesVpcConfig={"subnetIds": world.subnets})["cluster"]
    with pytest.raises(EksError, match="API_AND_CONFIG_MAP or API"):
        look_up(api, name)
    api.update_cluster_config(name=name, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
    found = look_up(api, name)
    assert found["security_group_id"] == made["resourcesVpcConfig"]["clusterSecurityGroupId"]

    project = project_of(tmp_path)
    project.program(
        EXISTING.format(endpoint=endpoint, keys=sorted(ENDPOINT_KEYS), name=name, found=found, subnets=world.subnets)
    )
    stack = project.stack()
    assert made["endpoint"] in stack.up().outputs["kubeconfig"].value
    (group,) = api.list_nodegroups(clusterName=name)["nodegroups"]
    assert group.startswith("gpu")
    stack.destroy()
    assert api.list_nodegroups(clusterName=name)["nodegroups"] == []
    api.delete_cluster(name=name)
