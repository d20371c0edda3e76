"""Reads what the checklist asks: releases, the way back's wholeness, who hears an alert, the runbook."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from turnout_components.release import load
from turnout_components.rollout_spec import Alerts

from turnout.rollout import wholeness
from turnout.rollout.checklist_before import Before
from turnout.rollout.status import RolloutStatus

TOPIC, WEBHOOK = "SNS topic", "webhook"


def gather(
    status: RolloutStatus,
    folder: Path,
    stable_ready: int,
    *,
    client: Callable[[str], Any],
    ecr: Callable[[str], Any],
    alerts: Alerts,
    thresholds: Mapping[str, float],
    unmeasurable: Sequence[str] = (),
) -> Before:
    """What is known before the first step. `folder` holds the manifests; `client` makes clients of a service, `ecr` one of a
    region. Nobody is told that the rollout begins: `told` does that.

    The stable model's files are not read again whole where their store keeps no hash: they may be large.
    Raises `ReleaseError` for a release without its manifest."""
    stable = status.releases[status.stable]
    return Before(
        status=status,
        candidate=load(folder, status.releases[status.candidate]),
        stable=load(folder, stable),
        stable_ready=stable_ready,
        thresholds=thresholds,
        broken=wholeness.faults(stable, folder, s3=lambda: client("s3"), ecr=ecr, whole=False),
        unmeasurable=unmeasurable,
        targets=targets(alerts),
        silent=silent(alerts, client),
    )


def targets(alerts: Alerts) -> tuple[str, ...]:
    """Who is told, as a person may read it: a webhook's address can be a secret."""
    topic = [f"{TOPIC} {alerts.topic.rpartition(':')[2]}"] if alerts.topic else []
    return (*topic, *([WEBHOOK] if alerts.webhook else []))


def silent(alerts: Alerts, client: Callable[[str], Any]) -> dict[str, str]:
    """The topic, where nobody who has confirmed hears it: a subscription's ARN is `PendingConfirmation` until then
    ("ListSubscriptionsByTopic", "Subscribe", Amazon SNS API Reference)."""
    if alerts.topic is None:
        return {}
    name = targets(alerts)[0]
    try:
        pages = client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=alerts.topic)
        heard = any(held["SubscriptionArn"].startswith("arn:") for page in pages for held in page["Subscriptions"])
    except Exception as error:  # a topic that cannot be asked is not known to reach anybody
        return {name: f"{type(error).__name__}: {error}"}
    return {} if heard else {name: "it has no confirmed subscription; subscribe somebody"}


def runbook(root: Path, where: str | None) -> tuple[str, datetime | None]:
    """Why the runbook cannot be read ("" where it can), and when it was last changed, as far as that can be known: of a file
    below `root` by git's last commit of it, or its own time where it differs from that; of an address nothing."""
    if where is None or "://" in where:
        return "", None
    path = root / where
    if not path.is_file():
        return f"there is no file {path}", None
    try:
        if not _git(root, "status", "--porcelain", "--", where):
            committed = _git(root, "log", "-1", "--format=%cI", "--", where)
            return "", datetime.fromisoformat(committed).astimezone(UTC) if committed else None
    except (OSError, subprocess.CalledProcessError):
        pass
    return "", datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def told(whom: Sequence[str], tell: Callable[[], None]) -> dict[str, str]:
    """Tells the targets that the rollout begins, where there are any: by target "", or why it could not be told."""
    if not whom:
        return {}
    try:
        tell()
    except Exception as error:  # whatever kept somebody from hearing it
        return {", ".join(whom): str(error)}
    return dict.fromkeys(whom, "")
