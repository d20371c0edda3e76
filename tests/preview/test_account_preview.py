"""`turnout preview` of what is deployed: the local engine, through Pulumi's Automation API, on AWS's API on loopback.

The stack goes up once; others then change and delete some of it, config changes, and one preview is looked at from all sides.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from turnout_components.user_data import render
from typer.testing import CliRunner, Result

from tests.moto_server import empty, moto_server
from turnout.cli import app
from turnout.preview.markdown import MARK, MARK_OF_ACCOUNT

SECRET = "hunter2-is-planted"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
PROGRAM = """
import base64, json, os, sys
import pulumi
import pulumi_aws as aws

config = pulumi.Config()
services = ("autoscaling", "ec2", "elbv2", "iam", "secretsmanager", "sts")
url = os.environ["TURNOUT_LOCAL_ENDPOINT"]
provider = aws.Provider("aws", region="us-east-1", access_key="test", secret_key="test", skip_credentials_validation=True,
    skip_requesting_account_id=True, endpoints=[{name: url for name in services}])
on = pulumi.ResourceOptions(provider=provider)
vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", opts=on)
nets = [aws.ec2.Subnet(f"net-{n}", vpc_id=vpc.id, cidr_block=f"10.0.{n}.0/24", availability_zone=f"us-east-1{z}", opts=on)
    for n, z in ((1, "a"), (2, "b"))]
balancer = aws.lb.LoadBalancer("balancer", internal=True, subnets=[net.id for net in nets], opts=on)
blue, green = (aws.lb.TargetGroup(name, port=config.require_int(name + "_port"), protocol="HTTP", vpc_id=vpc.id, opts=on)
    for name in ("shop-blue", "shop-green"))
weights = config.require_object("weights")
groups = [{"arn": blue.arn, "weight": weights["blue"]}, {"arn": green.arn, "weight": weights["green"]}]
aws.lb.Listener("live", load_balancer_arn=balancer.arn, port=80, protocol="HTTP",
    default_actions=[{"type": "forward", "forward": {"target_groups": groups}}], opts=on)
aws.lb.Listener("test", load_balancer_arn=balancer.arn, port=81, protocol="HTTP",
    default_actions=[{"type": "fixed-response", "fixed_response": {"content_type": "text/plain", "status_code": "404"}}],
    opts=on)
user_data = base64.b64encode(config.require("user_data").encode()).decode()
template = aws.ec2.LaunchTemplate("template", image_id="ami-12c6146b", instance_type="g5.xlarge", user_data=user_data, opts=on)
aws.autoscaling.Group("pool", min_size=0, max_size=config.require_int("maximum"), vpc_zone_identifiers=[nets[0].id],
    target_group_arns=[blue.arn], launch_template={"id": template.id, "version": "$Latest"}, wait_for_capacity_timeout="0",
    opts=on)
trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}]}
aws.iam.Role("reader", name="shop-reader", assume_role_policy=json.dumps(trust), opts=on)
secret = aws.secretsmanager.Secret("token", opts=on)
aws.secretsmanager.SecretVersion("value", secret_id=secret.id, secret_string=config.require_secret("token"), opts=on)
pulumi.export("weights", weights)
pulumi.export("token", config.require_secret("token"))
"""
MODEL = {"name": "digits", "uri": "s3://models/digits", "sha256": "3" * 64}
RELEASE = {
    "digest": "sha256:" + "1" * 64,
    "image": "registry.example/digits@sha256:" + "2" * 64,
    "engine": {"name": "digits", "flags": [], "env": {}},
}


def config(**changed: Any) -> dict[str, Any]:
    """The stack's config as JSON, which is YAML."""
    release = {**RELEASE, "model": {**MODEL, "version": changed.pop("version", "1.0.0")}}
    values = {
        "service": "shop",
        "cloud": "local",
        "region": "us-east-1",
        "releases": "releases",
        "environments": {"blue": {"release": None}, "green": {"release": None}},
        "traffic": {"active": "blue"},
        "weights": {"blue": 100, "green": 0},
        "shop-blue_port": 8000,
        "shop-green_port": 8000,
        "maximum": 2,
        "user_data": render("shop", "blue", release, 8000, 30),
        **changed,
    }
    return {f"shop:{key}": value for key, value in values.items()}


@dataclass
class Shop:
    """A deployed stack. `aws`: the account."""

    root: Path
    url: str

    def configure(self, token: str, **changed: Any) -> None:
        """Writes the stack's config, the secret by the command that an operator uses."""
        file = self.root / "Pulumi.local.yaml"
        salt = [line for line in file.read_text().splitlines() if line.startswith("encryptionsalt")] if file.exists() else []
        file.write_text("\n".join([*salt, f"config: {json.dumps(config(**changed))}\n"]))
        from turnout import deploy, stacks

        selected = deploy._select(stacks.load(self.root, "local"), deploy.LOCAL_ENGINE, self.root / ".turnout", {})
        from pulumi.automation import ConfigValue

        selected.set_config("shop:token", ConfigValue(token, secret=True))

    def aws(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.url, **KEYS)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    root = tmp_path_factory.mktemp("shop")
    (root / "Pulumi.yaml").write_text("name: shop\nruntime: python\noptions:\n  refresh: always\n")
    (root / "__main__.py").write_text(PROGRAM)
    with moto_server() as url, pytest.MonkeyPatch.context() as patch:
        empty(url)
        patch.chdir(root)
        for name, value in {
            "TURNOUT_LOCAL_ENDPOINT": url,
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        for name in ("TURNOUT_HOME", "TURNOUT_STACK"):
            patch.delenv(name, raising=False)
        made = Shop(root, url)
        made.configure("a-first-token")
        done = made.run("up")
        assert done.exit_code == 0, done.output
        yield made


@pytest.fixture(scope="module")
def previewed(shop: Shop) -> Result:
    """Others move the weights, delete a role; config flips, replaces blue's target group, changes secret, pool and release."""
    elb = shop.aws("elbv2")
    groups = {
        one["TargetGroupName"].rpartition("-")[0]: one["TargetGroupArn"] for one in elb.describe_target_groups()["TargetGroups"]
    }
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    live = next(one["ListenerArn"] for one in listeners if one["Port"] == 80)
    forward = {"TargetGroups": [{"TargetGroupArn": groups[n], "Weight": w} for n, w in (("shop-blue", 90), ("shop-green", 10))]}
    elb.modify_listener(ListenerArn=live, DefaultActions=[{"Type": "forward", "ForwardConfig": forward}])
    shop.aws("iam").delete_role(RoleName="shop-reader")
    flip = {"weights": {"blue": 0, "green": 100}, "traffic": {"active": "green", "standby": {"keep": "warm"}}}
    shop.configure(SECRET, maximum=4, version="2.0.0", **{"shop-blue_port": 8001}, **flip)
    return shop.run("preview", "--comment", "comment.md", "--html", "plan.html")


def test_everything_that_an_update_would_do_is_shown_and_what_interrupts_is_refused(previewed: Result) -> None:
    assert previewed.exit_code == 2
    shown = previewed.stdout
    assert "stack local: 2 to replace, 3 to update, 1 to create, 8 unchanged, 2 drifted" in shown
    assert "traffic: blue 90, green 10 → green 100; standby blue kept warm for 24 h" in shown
    assert "pool pool: instances 0 to 2 → 0 to 4, GPUs 0 to 2 → 0 to 4" in shown
    assert "± replace lb TargetGroup                 shop-blue (forced by port)" in shown
    assert "targetGroupArns[0]: ${shop-blue.arn} → (known after the update)" in shown
    assert "local: shop-blue: a target group that carries requests would be replaced, because of port" in previewed.stderr


def test_packed_user_data_is_told_by_what_changed_in_it(previewed: Result) -> None:
    lines = [line.strip() for line in previewed.stdout.splitlines() if "userData" in line]
    assert lines == ["userData.release.model.version: 1.0.0 → 2.0.0"]


def test_what_others_did_is_told_apart_from_what_the_update_would_do(previewed: Result) -> None:
    _, _, drift = previewed.stdout.partition("≠ gone")
    assert drift.splitlines()[0].split() == ["iam", "Role", "reader"]
    assert "≠ drifted lb Listener                    live" in drift
    assert "targetGroups[0].weight: 100 → 90" in drift


def test_no_secret_and_no_account_number_is_anywhere(previewed: Result, shop: Shop) -> None:
    pages = [previewed.output, *((shop.root / name).read_text() for name in ("comment.md", "plan.html"))]
    account = shop.aws("sts").get_caller_identity()["Account"]
    for text in pages:
        assert "secretString" in text
        assert SECRET not in text
        assert "a-first-token" not in text
        assert account not in text


def test_the_comment_has_a_mark_of_its_own(previewed: Result, shop: Shop) -> None:  # noqa: ARG001 -- made by the preview
    text = (shop.root / "comment.md").read_text()
    assert text.splitlines()[0] == MARK_OF_ACCOUNT
    assert not text.startswith(MARK)
    assert "### What an update would do, by local engine (not Pulumi)" in text
    assert "# drifted lb Listener live" in text


def test_a_name_that_is_allowed_passes_and_programs_get_it_all(previewed: Result, shop: Shop) -> None:  # noqa: ARG001
    done = shop.run("preview", "--allow", "shop-blue", "--json")
    assert done.exit_code == 0, done.stderr
    (stack,) = json.loads(done.stdout)["stacks"]
    assert stack["weights"] == {"before": {"blue": 90, "green": 10}, "after": {"blue": 0, "green": 100}}
    assert [each["name"] for each in stack["drift"]] == ["reader", "live"]
    assert stack["interruptions"][0]["resource"] == "shop-blue"
    assert stack["engine"] == "local engine (not Pulumi)"
