"""The whole local cloud: groups become processes, targets become healthy, weights move real requests."""

import base64
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from cloud_account import DIGESTS, IMAGES, Account, get
from turnout_components.user_data import of_document, read_release

from benchmarks.waiting import wait_for
from turnout.cloud import images
from turnout.cloud.envoy_routes import cluster_name, listener_name


def test_instances_become_healthy_targets_that_envoy_reaches_by_weight(account: Account) -> None:
    listener = account.listen(blue=100, green=0)
    account.launch("blue", 2)
    account.launch("green", 1)
    account.await_states("blue", "healthy", "healthy")
    account.await_states("green", "healthy")
    url = account.url(listener)
    wait_for("answer", lambda: get(url)[0] == 200)
    assert {json.loads(get(url)[1])["digest"] for _ in range(20)} == {DIGESTS["blue"]}
    elb = account.api("elbv2")
    took = []
    for name in ("green", "blue") * 10:
        elb.modify_listener(ListenerArn=listener, DefaultActions=account.forward(**{"blue": 0, "green": 0, name: 100}))
        answered = time.perf_counter()
        assert _routes(account, listener) == [account.groups[name]], "written before the API answers"
        while json.loads(get(url)[1])["digest"] != DIGESTS[name]:
            assert time.perf_counter() < answered + 5
        took.append((time.perf_counter() - answered) * 1000)
    print(f"API answer to weights in force: median {sorted(took)[10]:.1f} ms, worst {max(took):.1f} ms of {len(took)}")


def test_a_group_that_no_listener_names_is_unused_and_becomes_initial_and_healthy_at_weight_0(account: Account) -> None:
    account.launch("green", 1)
    account.await_states("green", "unused")
    reason = account.api("elbv2").describe_target_health(TargetGroupArn=account.groups["green"])
    assert reason["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Target.NotInUse"
    account.listen(blue=100, green=0)
    account.await_states("green", "healthy")


def test_rules_conditions_and_own_answers_follow_the_listener(account: Account) -> None:
    listener = account.listen(8081, blue=0, green=0)
    account.launch("blue", 1)
    elb = account.api("elbv2")
    condition = {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Turnout-Environment", "Values": ["blue"]}}
    elb.create_rule(ListenerArn=listener, Priority=1, Conditions=[condition], Actions=account.forward(blue=1))
    elb.create_rule(
        ListenerArn=listener,
        Priority=2,
        Conditions=[{"Field": "path-pattern", "Values": ["/img/*"]}],
        Actions=[{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Path": "/new"}}],
    )
    fixed = {"StatusCode": "418", "ContentType": "text/html", "MessageBody": "teapot"}
    elb.create_rule(
        ListenerArn=listener,
        Priority=3,
        Conditions=[{"Field": "host-header", "Values": ["tea.*"]}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": fixed}],
    )
    account.await_states("blue", "healthy")
    url = account.url(listener)
    wait_for("routed answer", lambda: get(url, headers={"x-turnout-environment": "BLUE"})[0] == 200)
    seen = json.loads(get(url, headers={"x-turnout-environment": "blue"})[1])["headers"]
    seen = {name.lower(): value for name, value in seen.items()}
    assert (seen["x-forwarded-for"], seen["x-forwarded-port"], seen["x-forwarded-proto"]) == ("127.0.0.1", "8081", "http")
    again = json.loads(get(url, headers={"x-turnout-environment": "blue", "x-forwarded-for": "203.0.113.9"})[1])["headers"]
    assert again["x-forwarded-for"].replace(" ", "") == "203.0.113.9,127.0.0.1"
    assert not [name for name in seen if name.startswith("x-envoy") or name == "x-request-id"]
    status, _, headers = get(url, "/img/a.png")
    assert (status, headers["location"].endswith("/new")) == (301, True)
    assert get(url, headers={"host": "tea.example:80"})[:2] == (418, b"teapot")
    assert get(url)[0] == 503, "all weights are 0"


def test_all_targets_unhealthy_fails_open_and_recovers(account: Account) -> None:
    listener = account.listen(blue=1, green=0)
    account.launch("blue", 2)
    account.await_states("blue", "healthy", "healthy")
    url = account.url(listener)
    wait_for("answer", lambda: get(url)[0] == 200)
    first, second = (account.instance(name) for name in account.states("blue"))
    get(first["url"], "/sick")
    account.await_states("blue", "healthy", "unhealthy")
    wait_for("only the healthy one", lambda: {json.loads(get(url)[1])["instance"] for _ in range(8)} == {second["id"]})
    get(second["url"], "/sick")
    account.await_states("blue", "unhealthy", "unhealthy")
    reason = account.api("elbv2").describe_target_health(TargetGroupArn=account.groups["blue"])
    assert reason["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Target.ResponseCodeMismatch"
    wait_for("both again", lambda: len({json.loads(get(url)[1])["instance"] for _ in range(8)}) == 2)
    get(first["url"], "/well")
    account.await_states("blue", "healthy", "unhealthy")


def test_a_killed_server_stays_dead_and_its_target_goes_unhealthy(account: Account) -> None:
    listener = account.listen(blue=1)
    account.launch("blue", 1)
    account.await_states("blue", "healthy")
    (name,) = account.states("blue")
    os.kill(account.instance(name)["pid"], signal.SIGKILL)
    account.await_states("blue", "unhealthy")
    assert account.instance(name)["phase"] == "dead"
    assert "status -9" in account.instance(name)["reason"]
    url = account.url(listener)
    wait_for("bad gateway", lambda: get(url)[0] == 502)


def test_a_terminated_instance_drains_its_slow_request_and_is_replaced(account: Account) -> None:
    listener = account.listen(blue=1)
    account.launch("blue", 1)
    account.await_states("blue", "healthy")
    url = account.url(listener)
    wait_for("answer", lambda: get(url)[0] == 200)
    (name,) = account.states("blue")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(get, url, "/slow", {"x-hold": "1"})
        wait_for("request in flight", lambda: _in_flight(account) == 1)
        account.api("ec2").terminate_instances(InstanceIds=[name])
        assert account.states("blue")[name] == "draining"
        assert account.lifecycle("blue")[name] == "Terminating"
        (replacement,) = set(account.states("blue")) - {name}
        assert account.instance(name)["phase"] in ("running", "draining")
        status, body, _ = slow.result()
    assert (status, json.loads(body)["instance"]) == (200, name)
    wait_for("end of the old instance", lambda: not account.instance(name))
    account.await_states("blue", "healthy")
    assert set(account.states("blue")) == {replacement}
    assert account.lifecycle("blue") == {replacement: "InService"}


def test_scaling_in_under_load_loses_no_request(account: Account) -> None:
    listener = account.listen(blue=1)
    account.launch("blue", 3)
    account.await_states("blue", "healthy", "healthy", "healthy")
    url = account.url(listener)
    wait_for("answer", lambda: get(url)[0] == 200)
    scaling, over, statuses = account.api("autoscaling"), threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            statuses.append(get(url, "/", {"x-hold": "0.05"})[0])

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(ask) for _ in range(4)]
        scaling.update_auto_scaling_group(AutoScalingGroupName="blue", MinSize=1, DesiredCapacity=1)
        wait_for("one process", lambda: len(account.cloud.state()["instances"]) == 1)
        over.set()
    for worker in workers:
        worker.result()
    assert set(statuses) == {200}, f"{len(statuses)} requests"


def test_minimum_and_maximum_move_the_desired_capacity(account: Account) -> None:
    account.listen(blue=1)
    account.launch("blue", 1)
    scaling = account.api("autoscaling")
    scaling.update_auto_scaling_group(AutoScalingGroupName="blue", MinSize=3)
    account.await_states("blue", "healthy", "healthy", "healthy")
    scaling.update_auto_scaling_group(AutoScalingGroupName="blue", MinSize=0, MaxSize=1)
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["blue"])["AutoScalingGroups"]
    assert group["DesiredCapacity"] == 1
    account.await_states("blue", "healthy")
    wait_for("one instance", lambda: list(account.lifecycle("blue").values()) == ["InService"])
    with pytest.raises(ClientError, match="above max value 1"):
        scaling.set_desired_capacity(AutoScalingGroupName="blue", DesiredCapacity=2)
    with pytest.raises(ClientError, match="ResourceInUse"):
        scaling.delete_auto_scaling_group(AutoScalingGroupName="blue")
    scaling.delete_auto_scaling_group(AutoScalingGroupName="blue", ForceDelete=True)
    wait_for("no instance", lambda: not account.cloud.state()["instances"])
    assert account.states("blue") == {}


def test_a_release_that_does_not_fit_gives_an_instance_without_a_server_and_says_why(account: Account) -> None:
    account.listen(blue=1, green=0)
    account.image = "local/tiny@sha256:" + "0" * 64
    account.launch("blue", 1)
    account.image, account.sha256 = images.read(IMAGES).reference, "sha256:" + "1" * 64
    account.launch("green", 1)
    account.await_states("blue", "unhealthy")
    account.await_states("green", "unhealthy")
    instances = {i["group"]: i for i in account.cloud.state()["instances"]}
    assert {i["phase"] for i in instances.values()} == {"no-server"}
    assert "rebuild the release's manifest" in instances["blue"]["reason"]
    assert "the release says sha256:111" in instances["green"]["reason"]


def test_a_new_version_of_the_launch_template_is_what_new_instances_run(account: Account) -> None:
    account.listen(blue=1)
    account.launch("blue", 1)
    (old,) = account.await_states("blue", "healthy")
    ec2 = account.api("ec2")
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateName="blue")["LaunchTemplateVersions"]
    told = read_release(base64.b64decode(version["LaunchTemplateData"]["UserData"]).decode())
    data = of_document(json.loads(json.dumps(told).replace("tiny-blue", "tiny-next")))
    changed = {**version["LaunchTemplateData"], "UserData": base64.b64encode(data.encode()).decode()}
    ec2.create_launch_template_version(LaunchTemplateName="blue", LaunchTemplateData=changed)
    account.api("autoscaling").set_desired_capacity(AutoScalingGroupName="blue", DesiredCapacity=2)
    (new,) = account.await_states("blue", "healthy", "healthy").keys() - {old}
    assert account.instance(old)["release"].startswith("tiny-blue@")
    assert account.instance(new)["release"].startswith("tiny-next@")


def test_requests_and_hosts_are_counted_in_cloudwatch(account: Account) -> None:
    listener = account.listen(blue=1)
    account.launch("blue", 1)
    account.await_states("blue", "healthy")
    url = account.url(listener)
    wait_for("answer", lambda: get(url)[0] == 200)
    for _ in range(7):
        get(url, headers={"x-status": "500", "x-hold": "0.02"})
    group = account.groups["blue"].rpartition(":")[2]
    balancer = account.balancer.partition(":loadbalancer/")[2]
    dimensions = [{"Name": "TargetGroup", "Value": group}, {"Name": "LoadBalancer", "Value": balancer}]

    def total(name: str, statistic: str = "Sum", dimensions: list[dict[str, str]] = dimensions) -> float:
        now = datetime.now(UTC)
        points = account.api("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName=name,
            Dimensions=dimensions,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=[statistic],
        )["Datapoints"]
        return float(sum(point[statistic] for point in points))

    wait_for("seven 5xx", lambda: total("HTTPCode_Target_5XX_Count") == 7)
    assert total("HealthyHostCount", "Maximum") == 1
    assert total("RequestCount") == total("RequestCount", dimensions=dimensions[1:]) >= 8
    wait_for("response time", lambda: total("TargetResponseTime", "Maximum") > 0.01)
    assert total("HTTPCode_ELB_5XX_Count", dimensions=dimensions[1:]) == 0


def test_the_idle_timeout_ends_a_request_with_504(account: Account) -> None:
    listener = account.listen(blue=1)
    attributes = [{"Key": "idle_timeout.timeout_seconds", "Value": "1"}]
    account.api("elbv2").modify_load_balancer_attributes(LoadBalancerArn=account.balancer, Attributes=attributes)
    account.launch("blue", 1)
    account.await_states("blue", "healthy")
    url = account.url(listener)
    wait_for("answer", lambda: get(url)[0] == 200)
    assert get(url, headers={"x-hold": "20"})[0] == 504


def _routes(account: Account, listener: str) -> list[str]:
    """The target groups that Envoy's routes for the listener name, from the file that it reads."""
    file = account.cloud.home / "cloud" / "envoy" / f"rds_{listener_name(listener)}.json"
    (route,) = json.loads(file.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    named = {cluster["name"] for cluster in route["route"]["weighted_clusters"]["clusters"]}
    return [arn for arn in account.groups.values() if cluster_name(arn) in named]


def _in_flight(account: Account) -> int:
    admin = (account.cloud.home / "cloud" / "envoy" / "admin.txt").read_text()
    clusters = get(f"http://{admin}", "/clusters")[1].decode().splitlines()
    return sum(int(line.rpartition("::")[2]) for line in clusters if "::rq_active::" in line)
