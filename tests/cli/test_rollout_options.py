"""What `rollout start` and `check` change for once, and what the history says of it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from turnout_components.rollout_spec import RolloutSpec
from typer.testing import Result

from tests.cli.conftest import STACK
from tests.cli.conftest import begun as a_rollout
from turnout.rollout.status import RolloutStatus
from turnout.rollouts import Rollouts

WINDOWS = {"windows": ["Mon-Fri 09:00-16:00 Europe/Berlin"], "freeze": ["2026-12-24"]}
Turnout = Callable[..., Result]


@pytest.fixture
def begun(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[RolloutStatus]:
    """Rollouts of a stack with windows that were about to begin: nothing else of them happens."""
    config = {**STACK["config"], "turnout:rollout": WINDOWS}
    (project / "stacks/Pulumi.local.yaml").write_text(yaml.safe_dump({"config": config}))
    monkeypatch.setenv("TURNOUT_LOCAL_ENDPOINT", "http://127.0.0.1:9")
    found: list[RolloutStatus] = []

    def begin(self: Rollouts, status: RolloutStatus) -> RolloutStatus:  # noqa: ARG001 -- a method's signature
        found.append(status)
        return status

    def preflight(rollouts: Rollouts, spec: RolloutSpec) -> SimpleNamespace:  # noqa: ARG001 -- a function's signature
        return SimpleNamespace(status=a_rollout(spec=spec), refuse=lambda: None)

    monkeypatch.setattr(Rollouts, "begin", begin)
    monkeypatch.setattr("turnout.cli.rollout.preflight", preflight)
    monkeypatch.setattr("turnout.cli.rollout.announce", lambda rollouts, found: found)
    monkeypatch.setattr("turnout.cli.rollout.view.plan", lambda found: found.status.id)
    return found


def test_windows_stay_unless_they_are_left_out_and_who_did_stands_in_the_history(
    turnout: Turnout, begun: list[RolloutStatus]
) -> None:
    assert turnout("rollout", "start", "--detach").exit_code == 0
    assert turnout("rollout", "start", "--detach", "--no-windows").exit_code == 0
    usual, past = begun
    assert (list(usual.spec.windows), list(usual.spec.freeze)) == (WINDOWS["windows"], WINDOWS["freeze"])
    assert [event.what for event in usual.events] == ["began"]
    assert (past.spec.windows, past.spec.freeze) == ((), ())
    assert past.events[-1].what == "windows left out"
    assert past.events[-1].why.endswith(": Mon-Fri 09:00-16:00 Europe/Berlin, 2026-12-24")


def test_nodes_are_swapped_for_once(turnout: Turnout, begun: list[RolloutStatus]) -> None:
    assert turnout("rollout", "start", "--detach", "--max-surge", "1").exit_code == 0
    assert begun[0].spec.max_surge == 1
    refused = turnout("rollout", "start", "--detach", "--max-surge", "-1")
    assert refused.exit_code == 2
    assert "turnout:rollout.max_surge = -1: input should be greater than or equal to 0; write how many" in refused.output


@pytest.mark.parametrize(
    ("rollout", "said"),
    [
        ({"extned": "90s"}, 'turnout:rollout.extned = "90s": is no setting; did you mean extend?'),
        (
            {"gates": [{"name": "errors", "kind": "errros", "objektive": 0.99}]},
            "turnout:rollout.gates.0.kind = \"errros\": input should be 'errors', 'latency', 'quality', 'health' or 'burn'; "
            "write errors, latency, quality, health or burn\n       stacks/Pulumi.local.yaml: "
            "turnout:rollout.gates.0.objektive = 0.99: is no setting; did you mean objective?",
        ),
        (
            {"steps": [50, 25, 100], "runbook": "r" * 99},
            "turnout:rollout = {…}: weights [50, 25, 100] do not rise; list them from the smallest to the largest\n",
        ),
    ],
)
def test_a_key_that_is_mistyped_is_told_with_the_one_that_is_meant(
    turnout: Turnout, project: Path, begun: list[RolloutStatus], rollout: dict[str, object], said: str
) -> None:
    config = {**STACK["config"], "turnout:rollout": rollout}
    (project / "stacks/Pulumi.local.yaml").write_text(yaml.safe_dump({"config": config}))
    for command in ("check", "start"):
        refused = turnout("rollout", command)
        assert refused.exit_code == 2
        assert refused.output.startswith("error: stacks/Pulumi.local.yaml: turnout:rollout")
        assert said in refused.output
    assert not begun
