"""Repositories of images: what AWS refuses of them, tags that stay, and their end."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.providers.cases_images import LIFECYCLE, POLICY, REPOSITORY, lifecycle, pulls, repository, rule
from tests.providers.conftest import TYPES, World
from turnout.engine.provider import Properties, ProviderError

AES_WITH_KEY = {"encryptionConfigurations": [{"encryptionType": "AES256", "kmsKey": "k"}]}
REFUSED: tuple[tuple[str, Properties, str], ...] = (
    *((REPOSITORY, {"name": name}, "name") for name in ("a", "A", "a__b/", "-a", "a//b", "a" * 257)),
    (REPOSITORY, {"name": "ab", "imageTagMutability": "FIXED"}, "imageTagMutability"),
    (REPOSITORY, {"name": "ab", **AES_WITH_KEY}, "encryptionConfigurations[0].kmsKey"),
    (REPOSITORY, {"encryptionConfigurations": [{"kmsKey": "k"}]}, "encryptionConfigurations[0].kmsKey"),
    (REPOSITORY, {"encryptionConfigurations": [{"encryptionType": "none"}]}, "encryptionConfigurations[0].encryptionType"),
    (REPOSITORY, {"encryptionConfigurations": [{}, {}]}, "encryptionConfigurations"),
    *(
        (LIFECYCLE, {"repository": "r", "policy": policy}, "policy")
        for policy in (
            "no",
            "{}",
            lifecycle(),
            lifecycle(rule(1), rule(1)),
            lifecycle(rule(tagStatus="some")),
            lifecycle(rule(tagStatus="tagged")),
            lifecycle(rule(tagPrefixList=["v"])),
            lifecycle(rule(1, tagStatus="any"), rule(2)),
            lifecycle(rule(countType="often")),
            lifecycle(rule(countUnit=None)),
            lifecycle(rule(countType="imageCountMoreThan")),
            lifecycle(rule(days=0)),
            lifecycle({**rule(), "action": {"type": "keep"}}),
        )
    ),
    (LIFECYCLE, {"repository": "r"}, "policy"),
    (POLICY, {"repository": "r", "policy": "no"}, "policy"),
    (POLICY, {"repository": "r", "policy": json.dumps({"Statement": [{"Effect": "Allow", "Action": "ecr:*"}]})}, "policy"),
)
GOOD: tuple[tuple[str, Properties], ...] = (
    (REPOSITORY, {"name": "turnout/digits/a-b.c_d", "encryptionConfigurations": [{"encryptionType": "KMS"}]}),
    (LIFECYCLE, {"repository": "r", "policy": lifecycle(rule(2, tagStatus="any"), rule(1))}),
    (LIFECYCLE, {"repository": "r", "policy": lifecycle(rule(tagStatus="tagged", tagPatternList=["v*"]))}),
    (LIFECYCLE, {"repository": "r", "policy": lifecycle(rule(countType="imageCountMoreThan", countUnit=None))}),
    (POLICY, {"repository": "r", "policy": pulls("ecr:*")}),
)
MANIFEST = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}


def push(world: World, name: str, layer: str) -> None:
    manifest = json.dumps({**MANIFEST, "config": {"digest": layer, "size": 1}, "layers": []})
    world.api("ecr").put_image(repositoryName=name, imageManifest=manifest, imageTag="v1")


@pytest.mark.parametrize(("token", "inputs", "property"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_aws_refuses_of_repositories_is_a_fault(token: str, inputs: Properties, property: str) -> None:
    assert property in [fault.property for fault in TYPES[token].check(inputs)]


@pytest.mark.parametrize(("token", "inputs"), GOOD, ids=lambda value: str(value)[:60])
def test_good_repositories_have_no_fault(token: str, inputs: Properties) -> None:
    assert TYPES[token].check(inputs) == []


def test_an_immutable_tag_stays_and_a_repository_with_images_goes_only_by_force(world: World) -> None:
    kind, inputs = TYPES[REPOSITORY], {"name": world.name("images"), "imageTagMutability": "IMMUTABLE"}
    made = kind.create(world.config, inputs, "t" * 32)
    push(world, made.id, "sha256:one")
    with pytest.raises(ClientError, match="AlreadyExistsException"):
        push(world, made.id, "sha256:two")
    with pytest.raises(ProviderError, match="RepositoryNotEmptyException.*forceDelete"):
        kind.delete(world.config, made.id, inputs, made.outputs, 5)
    kind.delete(world.config, made.id, {**inputs, "forceDelete": True}, made.outputs, 5)
    assert kind.read(world.config, made.id, inputs, made.outputs) is None


def test_a_repository_encrypts_with_a_key_of_aws_s_own_where_none_is_named(world: World) -> None:
    inputs = {"name": world.name("images"), "encryptionConfigurations": [{"encryptionType": "KMS"}]}
    made = world.make(REPOSITORY, **inputs)
    observed = TYPES[REPOSITORY].read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    assert observed.inputs == inputs


def test_a_lifecycle_in_another_order_is_no_drift(world: World) -> None:
    inputs = {"repository": repository(world), "policy": lifecycle(rule(1), rule(2, tagStatus="any"))}
    made = world.make(LIFECYCLE, **inputs)
    turned = lifecycle(rule(2, tagStatus="any"), rule(1))
    world.api("ecr").put_lifecycle_policy(repositoryName=made.id, lifecyclePolicyText=turned)
    observed = TYPES[LIFECYCLE].read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    assert observed.inputs == inputs
