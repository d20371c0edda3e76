"""A Prometheus finds the nodes of the local cloud as it finds EC2's: by their tags."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloud_account import DIGESTS, Account, get

from benchmarks.prometheus import is_installed, prometheus
from benchmarks.waiting import wait_for
from turnout.cloud.discovery import targets

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
TAGS = {"turnout:service": "tiny", "turnout:stack": "test"}


def launch(account: Account, name: str, count: int) -> None:
    """As `GpuNodePool` tags it."""
    tags = {**TAGS, "turnout:environment": name, "turnout:release": f"tiny-{name}@{DIGESTS[name]}"}
    account.launch(name, count, Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()])


def document(account: Account) -> list[dict[str, Any]]:
    status, body, headers = get(account.cloud.endpoint, "/_turnout/prometheus/targets")
    assert (status, headers["content-type"]) == (200, "application/json")
    found: list[dict[str, Any]] = json.loads(body)
    return found


def servers(account: Account) -> dict[str, str]:
    """The addresses of the servers that run, by instance."""
    running = [one for one in account.cloud.state()["instances"] if one["phase"] == "running"]
    return {one["id"]: one["url"].removeprefix("http://") for one in running}


def test_each_running_server_is_listed_with_the_tags_of_its_instance(account: Account) -> None:
    assert document(account) == []
    account.listen(blue=1, green=0)
    launch(account, "blue", 2)
    launch(account, "green", 1)
    wait_for("three servers", lambda: len(servers(account)) == 3)
    expected = servers(account)
    found = document(account)
    assert {one["labels"]["instance"]: one["targets"] for one in found} == {name: [at] for name, at in expected.items()}
    described = account.api("ec2").describe_instances()["Reservations"]
    groups = {
        each["InstanceId"]: tag["Value"]
        for reservation in described
        for each in reservation["Instances"]
        for tag in each["Tags"]
        if tag["Key"] == "aws:autoscaling:groupName"
    }
    for one in found:
        labels = one["labels"]
        name = labels["environment"]
        assert labels == {
            "service": "tiny",
            "stack": "test",
            "environment": name,
            "group": groups[labels["instance"]],
            "release": DIGESTS[name],
            "instance": labels["instance"],
        }
    assert sorted(one["labels"]["group"] for one in found) == ["blue", "blue", "green"]


def test_a_server_that_has_ended_is_not_listed(account: Account) -> None:
    account.listen(blue=1)
    launch(account, "blue", 2)
    wait_for("two servers", lambda: len(document(account)) == 2)
    killed, other = account.cloud.state()["instances"]
    os.kill(killed["pid"], signal.SIGKILL)
    wait_for("one server less", lambda: [one["labels"]["instance"] for one in document(account)] == [other["id"]])


def test_a_tag_that_is_not_there_is_no_label() -> None:
    assert targets({"i-1": ("127.0.0.1", 8000)}, {}) == [{"targets": ["127.0.0.1:8000"], "labels": {"instance": "i-1"}}]


@pytest.mark.skipif(not is_installed(), reason="install prometheus")
def test_a_real_prometheus_finds_the_same_here_and_by_the_tags_of_ec2(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the configurations of docs/metrics.md. EC2's addresses are private: there nothing answers, here everything does."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    account.listen(blue=1, green=0)
    launch(account, "blue", 2)
    launch(account, "green", 1)
    wait_for("three servers", lambda: len(servers(account)) == 3)
    aws, local = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(global:.*?)```", DOCS.read_text(), re.DOTALL))
    (ec2,), (http,) = aws["scrape_configs"], local["scrape_configs"]
    (by_tags,), (by_http,) = ec2["ec2_sd_configs"], http["http_sd_configs"]
    by_tags["endpoint"] = account.cloud.endpoint
    for each in by_tags["filters"]:
        each["values"] = [TAGS.get(each["name"].removeprefix("tag:"), each["values"][0])]
    by_http["url"] = re.sub(r"^http://[^/]+", account.cloud.endpoint, by_http["url"])
    config = {"global": local["global"], "scrape_configs": [{**ec2, "job_name": "aws"}, {**http, "job_name": "local"}]}

    with prometheus(tmp_path / "prometheus", yaml.safe_dump(config)) as server:
        wait_for("all targets", lambda: len(server.targets()) == 6)
        found: dict[str, list[dict[str, str]]] = {"aws": [], "local": []}
        for labels in server.targets():
            found[labels.pop("job")].append(labels)
    by_instance = {job: {one["instance"]: one for one in labels} for job, labels in found.items()}
    assert by_instance["aws"] == by_instance["local"]
    assert by_instance["local"].keys() == servers(account).keys()
    assert {one["release"] for one in found["local"]} == set(DIGESTS.values())
