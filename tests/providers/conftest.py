"""The local cloud's API on loopback, with machines that are ready at once, and a world of objects that types under test
stand on."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from turnout.cloud.control_plane import ControlPlane
from turnout.cloud.fleets import Fleets
from turnout.cloud.moto_extensions import extend_moto
from turnout.cloud.moto_state import api_lock
from turnout.engine.provider import Created, Properties, ProviderConfig, ResourceType
from turnout.providers import registry
from turnout.providers.aws.clients import ENDPOINT_KEYS, client

TYPES = registry()


class Machines:
    """Machines that start and end at once."""

    def machine_is_up(self, _: str) -> bool:
        return True

    def has_ended(self, _: str) -> bool:
        return True

    def is_held(self, _: str) -> bool:
        return False


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    fleets = Fleets(Machines())
    extend_moto(lambda _: {}, fleets)

    def settle() -> None:
        while fleets.progress():
            pass

    plane = ControlPlane(api_lock, settle, {})
    plane.start()
    yield plane.endpoint
    plane.close()


def provider(endpoint: str, **inputs: Any) -> ProviderConfig:
    urls = dict.fromkeys(ENDPOINT_KEYS, endpoint)
    keys = {"region": "us-east-1", "accessKey": "test", "secretKey": "test"}
    return ProviderConfig({**keys, "endpoints": [urls], **inputs})


@dataclass
class World:
    """Objects made on demand, each once, taken down in reverse order."""

    config: ProviderConfig
    made: list[tuple[ResourceType, Created, Properties]] = field(default_factory=list)

    def api(self, service: str) -> Any:
        return client(self.config, service)

    def name(self, prefix: str = "t") -> str:
        return f"{prefix}-{uuid.uuid4().hex[:8]}"

    def make(self, token: str, **inputs: Any) -> Created:
        kind = TYPES[token]
        assert kind.check(inputs) == []
        created = kind.create(self.config, inputs, uuid.uuid4().hex)
        self.made.append((kind, created, inputs))
        return created

    def close(self) -> None:
        for kind, created, inputs in reversed(self.made):
            kind.delete(self.config, created.id, inputs, created.outputs, 20)

    @cached_property
    def vpc(self) -> str:
        return self.make("aws:ec2/vpc:Vpc", cidrBlock="10.20.0.0/16").id

    @cached_property
    def subnets(self) -> list[str]:
        token, zones = "aws:ec2/subnet:Subnet", ("us-east-1a", "us-east-1b", "us-east-1c")
        blocks = [f"10.20.{index}.0/24" for index in range(3)]
        pairs = zip(blocks, zones, strict=True)
        return [self.make(token, vpcId=self.vpc, cidrBlock=block, availabilityZone=zone).id for block, zone in pairs]

    @cached_property
    def gateway(self) -> str:
        return self.make("aws:ec2/internetGateway:InternetGateway", vpcId=self.vpc).id

    @cached_property
    def table(self) -> str:
        return self.make("aws:ec2/routeTable:RouteTable", vpcId=self.vpc).id

    @cached_property
    def address(self) -> str:
        return self.make("aws:ec2/eip:Eip", domain="vpc").id

    def group(self) -> str:
        return self.make("aws:ec2/securityGroup:SecurityGroup", name=self.name("group"), vpcId=self.vpc).id

    def target_group(self) -> str:
        token = "aws:lb/targetGroup:TargetGroup"
        return self.make(token, name=self.name("tg"), port=8000, protocol="HTTP", vpcId=self.vpc).id

    @cached_property
    def balancer(self) -> str:
        return self.make("aws:lb/loadBalancer:LoadBalancer", name=self.name("lb"), subnets=self.subnets[:2]).id

    @cached_property
    def listener(self) -> str:
        token, answer = "aws:lb/listener:Listener", {"statusCode": "404", "contentType": "text/plain"}
        actions = [{"type": "fixed-response", "fixedResponse": answer}]
        return self.make(token, loadBalancerArn=self.balancer, port=8081, protocol="HTTP", defaultActions=actions).id

    @cached_property
    def template(self) -> str:
        token = "aws:ec2/launchTemplate:LaunchTemplate"
        return self.make(token, name=self.name("lt"), imageId="ami-12c6146b", instanceType="g5.xlarge").id

    def role(self) -> str:
        return self.make("aws:iam/role:Role", name=self.name("role"), assumeRolePolicy=TRUST).id


TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)


@pytest.fixture
def config(endpoint: str) -> ProviderConfig:
    return provider(endpoint)


@pytest.fixture
def world(config: ProviderConfig) -> Iterator[World]:
    world = World(config)
    yield world
    world.close()
