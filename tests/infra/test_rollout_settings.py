"""What a stack's config may say of rollouts beyond the strategies' own tests."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from stack_config import fault, read

from infra.settings import ConfigFaults, parse

ROOT = Path(__file__).parents[2]


def test_windows_and_freezes_are_read(root: Path) -> None:
    settings = read(root, rollout={"windows": ["Mon-Fri 09:00-16:00 Europe/Berlin"], "freeze": ["2026-12-24"]})
    assert settings.rollout.windows == ("Mon-Fri 09:00-16:00 Europe/Berlin",)
    assert settings.rollout.freeze == ("2026-12-24",)


@pytest.mark.parametrize(
    ("rollout", "line"),
    [
        (
            {"windows": ["09:00-16:00", "Mon-Fry 09:00-16:00"]},
            'turnout:rollout.windows.1 = "Mon-Fry 09:00-16:00": '
            "'Fry' is no day; the days are Mon, Tue, Wed, Thu, Fri, Sat, Sun; "
            'list texts such as "Mon-Fri 09:00-16:00 Europe/Berlin", or none for any time',
        ),
        (
            {"windows": ["09:00-16:00 Berlin"]},
            'turnout:rollout.windows.0 = "09:00-16:00 Berlin": berlin is no time zone; name one such as Europe/Berlin',
        ),
        (
            {"freeze": ["2027-01-02/2026-12-20"]},
            'turnout:rollout.freeze.0 = "2027-01-02/2026-12-20": 2027-01-02/2026-12-20 ends before it begins; ',
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_field(root: Path, rollout: dict[str, Any], line: str) -> None:
    assert fault(root, rollout=rollout).startswith(line)


CLOSED = {"port": 80, "allowed_cidrs": ["203.0.113.0/24"]}
TLS = {
    "allowed_cidrs": ["0.0.0.0/0"],
    "certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d",
}
RECREATE = {"strategy": "recreate"}


def test_downtime_is_accepted_by_a_stack_for_development(root: Path) -> None:
    assert read(root, rollout=RECREATE).recreate, "on the local cloud"
    assert read(root, environ={}, cloud="aws", ingress={**CLOSED, "deletion_protection": False}, rollout=RECREATE).recreate
    assert not read(root).recreate


@pytest.mark.parametrize(
    ("ingress", "said"),
    [
        (CLOSED, "and ingress.deletion_protection says that it is to stay up"),  # the default
        ({**CLOSED, "deletion_protection": True}, "ingress.deletion_protection"),
        ({**TLS, "deletion_protection": False}, "and ingress.allowed_cidrs lets the whole internet use it"),
    ],
)
def test_every_other_stack_is_refused_it(root: Path, ingress: dict[str, Any], said: str) -> None:
    line = fault(root, environ={}, cloud="aws", ingress=ingress, rollout=RECREATE)
    assert line.startswith('turnout:rollout.strategy = "recreate": takes the service down')
    assert said in line
    assert line.endswith("write canary, blue-green or direct: recreate is for development")


@pytest.mark.parametrize(("stack", "accepted"), [("dev", True), ("staging", False), ("prod", False)])
def test_of_the_example_stacks_only_dev_accepts_downtime(stack: str, accepted: bool) -> None:
    given = yaml.safe_load((ROOT / f"stacks/Pulumi.{stack}.yaml").read_text())["config"]
    found = {key.removeprefix("turnout:"): value for key, value in given.items()}
    if accepted:
        assert parse({**found, "rollout": RECREATE}, ROOT, {}).recreate
        return
    with pytest.raises(ConfigFaults, match=r"turnout:rollout\.strategy = .*recreate is for development"):
        parse({**found, "rollout": RECREATE}, ROOT, {})


def test_recreate_has_no_steps(root: Path) -> None:
    assert "has no steps" in fault(root, rollout={**RECREATE, "steps": [5, 100]})
