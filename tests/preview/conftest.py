"""A repository with a small project, whose revisions are previewed."""

import subprocess
from pathlib import Path

import pytest

PROJECT = "name: shop\nruntime: python\nmain: program\nstackConfigDir: stacks\n"
STACK = "config:\n  shop:cidr: 10.0.0.0/16\n  shop:name: one\n"
PROGRAM = """
import json
import pulumi
import pulumi_aws as aws

config = pulumi.Config()
on = pulumi.ResourceOptions(provider=aws.Provider("aws", region="eu-west-1"))
vpc = aws.ec2.Vpc("net", cidr_block=config.require("cidr"), opts=on)
trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}]}
role = aws.iam.Role("role", assume_role_policy=json.dumps(trust), tags={"Name": config.require("name")}, opts=on)
rule = {"Effect": "Allow", "Action": "iam:PassRole"}
document = role.arn.apply(lambda arn: json.dumps({"Statement": [{**rule, "Resource": arn}]}))
aws.iam.RolePolicy("policy", role=role.name, policy=document, opts=on)
group = aws.ec2.SecurityGroup("group", vpc_id=vpc.id, opts=on)
pulumi.export("vpc", vpc.id)
"""


class Repository:
    """A git repository of one project with a stack `prod`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q", "-b", "main")
        self.write(".gitignore", "__pycache__/\n")
        self.write("Pulumi.yaml", PROJECT)
        self.write("program/__main__.py", PROGRAM)
        self.write("stacks/Pulumi.prod.yaml", STACK)
        self.commit("first")

    def git(self, *arguments: str) -> str:
        """What git says."""
        who = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        return subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True, text=True).stdout

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Edits a file in the working tree."""
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", message)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "repository"
    root.mkdir()
    return Repository(root)
