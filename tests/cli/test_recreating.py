"""Who may take the service down, asked by command: refused before any call of AWS is made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from tests.cli.conftest import STACK
from turnout.access import Access
from turnout.cli import recreating
from turnout.cli.session import Session

Turnout = Callable[..., Result]


@pytest.fixture
def written(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the stack prod, in AWS, with these sections; no client of AWS can be made."""

    def no_client(self: Access, service: str) -> Any:  # noqa: ARG001 -- a method's signature
        raise AssertionError(f"asked {service}")

    monkeypatch.setattr(Access, "_make", no_client)

    def write(**sections: Any) -> None:
        more = {f"turnout:{key}": value for key, value in sections.items()}
        config = {**STACK["config"], "turnout:cloud": "aws", **more}
        (project / "stacks/Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": config}))

    return write


@pytest.mark.parametrize("command", [("rollout", "start", "--release", "digits-2.0.0"), ("rollout", "check")])
def test_an_option_alone_accepts_no_downtime(turnout: Turnout, written: Callable[..., None], command: tuple[str, ...]) -> None:
    written(rollout={"strategy": "canary"})
    done = turnout(*command, "--strategy", "recreate", "--stack", "prod")
    assert done.exit_code == 2
    assert "Pulumi.prod.yaml does not accept downtime: turnout:rollout.strategy is not recreate" in done.output.replace(
        "\n", " "
    )


@pytest.mark.parametrize(
    ("ingress", "said"),
    [
        ({}, "ingress.deletion_protection says that it is to stay up"),
        (
            {"deletion_protection": False, "allowed_cidrs": ["0.0.0.0/0"]},
            "ingress.allowed_cidrs lets the whole internet",
        ),
    ],
)
def test_a_stack_that_is_not_for_development_is_refused(
    turnout: Turnout, written: Callable[..., None], ingress: dict[str, Any], said: str
) -> None:
    written(rollout={"strategy": "recreate"}, ingress=ingress)
    done = turnout("rollout", "start", "--release", "digits-2.0.0", "--stack", "prod")
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")


def test_a_release_that_is_to_be_deployed_first_must_be_one(turnout: Turnout, written: Callable[..., None]) -> None:
    written(rollout={"strategy": "direct"})
    for command in ("start", "check"):
        done = turnout("rollout", command, "--release", "digits-2.0.0", "--stack", "prod")
        assert done.exit_code == 2
        assert "digits-2.0.0.yaml; the folder holds: none" in done.output.replace("\n", "")


def test_an_up_whose_record_cannot_be_read_is_an_ordinary_up(written: Callable[..., None]) -> None:
    written(rollout={"strategy": "recreate"})
    assert not recreating.is_due(Session("prod"))
