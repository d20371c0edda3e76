"""What becomes of a seed when the component is brought up again and again: in the account, and in the project's files."""

from typing import Any

import pytest
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend

from tests.access.conftest import PROVIDER, Deployed
from tests.engine_state.bench import Project
from turnout.cloud.moto_secrets import extend_secrets
from turnout.providers.aws.clients import ENDPOINT_KEYS

VALUE = "pl4nted-seed"
SECRETS = """
secrets = ServiceSecrets("svc-blue-secrets", dict(service="svc", environment="seeded", names=["TOKEN", "LATER"],
    seeds=dict(TOKEN={value!r}), seed_version={version}, recovery_window_days=0), on)
pulumi.export("references", secrets.references)
"""
WITHOUT_SEED = """
secrets = ServiceSecrets("svc-blue-secrets", dict(service="svc", environment="unseeded", names=["TOKEN"],
    seeds=dict({seeds}), recovery_window_days=0, rotation=dict(days=30,
    lambda_arn="arn:aws:lambda:us-east-1:123456789012:function:rotate")), on)
pulumi.export("references", secrets.references)
"""


@pytest.mark.slow
def test_a_seed_may_be_taken_out_of_config_and_the_value_stays(
    project: Project, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default the next test: what was rotated stays whatever config says of the seed."""
    api = Deployed(endpoint, {}).api("secretsmanager")
    monkeypatch.setattr(SecretsManagerBackend, "rotate_secret", SecretsManagerBackend.rotate_secret)
    monkeypatch.setattr(FakeSecret, "to_dict", FakeSecret.to_dict)
    extend_secrets()
    for seeds in (f"TOKEN={VALUE!r}", "", ""):
        project.program(PROVIDER.format(endpoint=endpoint, keys=sorted(ENDPOINT_KEYS)) + WITHOUT_SEED.format(seeds=seeds))
        project.stack().refresh()
        arn = project.stack().up().outputs["references"].value["TOKEN"]
        assert api.get_secret_value(SecretId=arn)["SecretString"] == VALUE
    found = api.describe_secret(SecretId=arn)
    assert (found["RotationEnabled"], found["RotationRules"]) == (True, {"AutomaticallyAfterDays": 30})
    assert "secretVersion" not in str(project.stack().export_stack().deployment)
    project.stack().destroy()


def test_a_seed_is_written_once_and_a_rotated_value_stays_until_a_higher_number(project: Project, endpoint: str) -> None:
    api = Deployed(endpoint, {}).api("secretsmanager")

    def up(value: str, version: int = 1) -> tuple[dict[str, int], dict[str, str]]:
        provider = PROVIDER.format(endpoint=endpoint, keys=sorted(ENDPOINT_KEYS))
        project.program(provider + SECRETS.format(value=value, version=version))
        project.stack().refresh()
        result = project.stack().up()
        return dict(result.summary.resource_changes or {}), result.outputs["references"].value

    def current() -> str:
        return str(api.get_secret_value(SecretId=arn)["SecretString"])

    def listed() -> list[Any]:
        return list(api.list_secrets(Filters=[{"Key": "name", "Values": ["turnout/svc/dev/seeded"]}])["SecretList"])

    def labels() -> dict[str, Any]:
        versions = api.list_secret_version_ids(SecretId=arn)["Versions"]
        return {label: v["VersionId"] for v in versions for label in v.get("VersionStages", [])}

    project.program(PROVIDER.format(endpoint=endpoint, keys=sorted(ENDPOINT_KEYS)) + SECRETS.format(value=VALUE, version=1))
    assert project.stack().preview().change_summary["create"] == 10
    assert listed() == [], "a preview makes nothing"
    _, references = up(VALUE)
    arn = references["TOKEN"]
    assert set(references) == {"TOKEN", "LATER"}
    assert current() == VALUE
    # moto takes this label off with AWSCURRENT, AWS does not (`SEED_LABEL` has the page).
    assert labels()["turnout-seed-1"] == labels()["AWSCURRENT"]
    for value in ("rotated", "rotated again"):
        api.put_secret_value(SecretId=arn, SecretString=value)
    assert set(up(VALUE)[0]) == {"same"}
    assert set(up("another")[0]) == {"same"}
    assert current() == "rotated again"

    changes, _ = up(f"{VALUE}-second", 2)
    assert (changes["create"], changes["delete"]) == (1, 1)
    assert current() == f"{VALUE}-second"
    assert labels()["AWSCURRENT"] == labels()["turnout-seed-2"]

    state = str(project.stack().export_stack().deployment)
    assert VALUE not in state
    assert [str(path) for path in project.files() if VALUE in path.read_text(errors="replace")] == []
    project.stack().destroy()
    assert listed() == []
