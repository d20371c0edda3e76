"""Tells people what a rollout did: to an SNS topic and to a webhook."""

from collections.abc import Callable
from typing import Any

import httpx
from turnout_components.rollout_spec import Alerts

from turnout.rollout.status import Event, RolloutStatus

TIMEOUT = 5.0
"""Seconds for a webhook's answer."""
SUBJECT_LENGTH = 100
"""An SNS subject has at most so many characters ("Publish", Amazon SNS API Reference)."""


class AlertFailed(Exception):
    """Somebody could not be told; the message names the way and never an address that is a secret."""


def document(key: str, status: RolloutStatus, event: Event) -> dict[str, Any]:
    """What is told: what was done and why, the gates with their numbers, and where traffic is. `key`: `<service>/<stack>`."""
    return {
        "service": key,
        "rollout": status.id,
        "what": event.what,
        "why": event.why,
        "at": event.at.isoformat(),
        "state": status.state.value,
        "traffic": {status.stable: 100 - status.weight, status.candidate: status.weight}
        if not status.state.is_over or status.state.value == "promoted"
        else {status.stable: 100, **({status.candidate: 0} if status.candidate != status.stable else {})},
        "releases": status.releases,
        "gates": [
            {"gate": each.gate, "verdict": each.verdict.value, "said": each.said, "numbers": dict(each.numbers)}
            for each in status.judgements
        ],
    }


def text(told: dict[str, Any]) -> str:
    """The alert as a person reads it."""
    shares = ", ".join(f"{name} {weight} %" for name, weight in told["traffic"].items())
    lines = [
        f"{told['service']}: {told['what']}",
        f"why: {told['why'] or '–'}",
        f"traffic: {shares}",
        f"rollout: {told['rollout']}",
    ]
    return "\n".join(lines + [f"gate {gate['gate']}: {gate['verdict']} ({gate['said']})" for gate in told["gates"]])


class Alerter:
    """Sends alerts. `client` makes botocore's clients, `http` posts to webhooks."""

    def __init__(self, alerts: Alerts, key: str, client: Callable[[str], Any], http: httpx.Client) -> None:
        self._alerts, self._key, self._client, self._http = alerts, key, client, http

    def __call__(self, status: RolloutStatus, event: Event) -> None:
        """Raises `AlertFailed` when one of the ways failed; all are tried."""
        told = document(self._key, status, event)
        failed = [reason for way in (self._publish, self._post) if (reason := _reason(way, told))]
        if failed:
            raise AlertFailed("; ".join(failed))

    def _publish(self, told: dict[str, Any]) -> None:
        if self._alerts.topic is not None:
            subject = f"{told['service']}: {told['what']}"[:SUBJECT_LENGTH]
            self._client("sns").publish(TopicArn=self._alerts.topic, Subject=subject, Message=text(told))

    def _post(self, told: dict[str, Any]) -> None:
        if self._alerts.webhook is not None:
            self._http.post(self._address(), json={"text": text(told), **told}, timeout=TIMEOUT).raise_for_status()

    def _address(self) -> str:
        webhook = str(self._alerts.webhook)
        if webhook.startswith("ssm:"):
            found = self._client("ssm").get_parameter(Name=webhook.removeprefix("ssm:"), WithDecryption=True)
            return str(found["Parameter"]["Value"])
        if webhook.startswith("arn:"):
            return str(self._client("secretsmanager").get_secret_value(SecretId=webhook)["SecretString"])
        return webhook


def _reason(way: Callable[[dict[str, Any]], None], told: dict[str, Any]) -> str:
    """Why a way failed; "" when it did not. An HTTP error's own text would name the address."""
    name = "webhook" if way.__name__ == "_post" else "SNS"
    try:
        way(told)
    except httpx.HTTPStatusError as error:
        return f"{name} answered {error.response.status_code}"
    except httpx.HTTPError as error:
        return f"{name}: {type(error).__name__}"
    except Exception as error:
        return f"{name}: {error}"
    return ""
