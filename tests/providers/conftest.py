"""The local cloud's API on loopback, with machines that are ready at once, and a world of objects that types under test
stand on."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest
from moto.moto_api._internal import moto_api_backend

from tests.providers.transport import in_process
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
    moto_api_backend.reset()  # of what tests before these have left in this process's account
    fleets = Fleets(Machines())
    extend_moto(lambda _: {}, fleets)

    def settle() -> None:
        while fleets.progress():
            pass

    plane = ControlPlane(api_lock, settle, {})
    plane.start()
    with in_process(plane.endpoint, plane):
        yield plane.endpoint
    plane.close()


def provider(endpoint: str, **inputs: Any) -> ProviderConfig:
    urls = dict.fromkeys(ENDPOINT_KEYS, endpoint)
    keys = {"region": "us-east-1", "accessKey": "test", "secretKey": "test"}
    return ProviderConfig({**keys, "endpoints": [urls], **inputs})


class shared(cached_property[Any]):
    """Made once: by the ground that a world stands on, where it has one."""

    def __get__(self, world: Any, owner: Any = None) -> Any:
        ground = world.ground if world is not None else None
        return super().__get__(world, owner) if ground is None else getattr(ground, str(self.attrname))


@dataclass
class World:
    """Objects made on demand, each once, taken down in reverse order. `ground` has those that many worlds stand on."""

    config: ProviderConfig
    made: list[tuple[ResourceType, Created, Properties]] = field(default_factory=list)
    ground: "World | None" = None

    @property
    def everything(self) -> list[tuple[ResourceType, Created, Properties]]:
        return [*self.made, *(self.ground.made if self.ground else [])]

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

    @shared
    def vpc(self) -> str:
        return self.make("aws:ec2/vpc:Vpc", cidrBlock="10.20.0.0/16").id

    @shared
    def subnets(self) -> list[str]:
        token, zones = "aws:ec2/subnet:Subnet", ("us-east-1a", "us-east-1b", "us-east-1c")
        blocks = [f"10.20.{index}.0/24" for index in range(3)]
        pairs = zip(blocks, zones, strict=True)
        return [self.make(token, vpcId=self.vpc, cidrBlock=block, availabilityZone=zone).id for block, zone in pairs]

    @shared
    def gateway(self) -> str:
        return self.make("aws:ec2/internetGateway:InternetGateway", vpcId=self.vpc).id

    @shared
    def table(self) -> str:
        return self.make("aws:ec2/routeTable:RouteTable", vpcId=self.vpc).id

    @shared
    def address(self) -> str:
        return self.make("aws:ec2/eip:Eip", domain="vpc").id

    def group(self) -> str:
        return self.make("aws:ec2/securityGroup:SecurityGroup", name=self.name("group"), vpcId=self.vpc).id

    def target_group(self) -> str:
        token = "aws:lb/targetGroup:TargetGroup"
        return self.make(token, name=self.name("tg"), port=8000, protocol="HTTP", vpcId=self.vpc).id

    @shared
    def balancer(self) -> str:
        return self.make("aws:lb/loadBalancer:LoadBalancer", name=self.name("lb"), subnets=self.subnets[:2]).id

    @shared
    def listener(self) -> str:
        token, answer = "aws:lb/listener:Listener", {"statusCode": "404", "contentType": "text/plain"}
        actions = [{"type": "fixed-response", "fixedResponse": answer}]
        return self.make(token, loadBalancerArn=self.balancer, port=8081, protocol="HTTP", defaultActions=actions).id

    @shared
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


@pytest.fixture(scope="session")
def ground(endpoint: str) -> Iterator[World]:
    ground = World(provider(endpoint))
    yield ground
    ground.close()


@pytest.fixture
def life(config: ProviderConfig, ground: World) -> Iterator[World]:
    """A world for one object's life, whose network, balancer and template many lives share."""
    world = World(config, ground=ground)
    yield world
    world.close()
