"""A burst of real requests makes a group of real servers grow, and it comes back; minutes last a second."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_account import Account, get
from scaling_account import MINUTE, Users, desired, fast_account, seeds_rule, serving_group, watch

from benchmarks.waiting import wait_for


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with fast_account(tmp_path) as account:
        yield account


def serving(account: Account, name: str) -> int:
    return list(account.states(name).values()).count("healthy")


def ready_url(account: Account, *names: str, **weights: int) -> str:
    listener = account.listen(**weights)
    for name in names:
        wait_for(f"{name} healthy", lambda name=name: serving(account, name) >= 1)  # type: ignore[misc]
    url = account.url(listener)
    wait_for("answer", lambda: get(url)[0] == 200)
    return url


def test_a_burst_grows_the_group_and_it_comes_back_without_a_lost_request(account: Account) -> None:
    serving_group(account, "blue", 1, 5)
    url = ready_url(account, "blue", blue=1)
    time.sleep(3 * MINUTE)
    seeds_rule(account, "blue", warmup=60)
    began = time.monotonic()
    steady = Users(url, 2, work=0.0, pause=0.2)
    burst = Users(url, 60, work=0.2)
    sizes = [1]
    while sizes[-1] < 5 and time.monotonic() < began + 60:
        sizes.append(desired(account, "blue"))
        time.sleep(0.05)
    wait_for("five that serve", lambda: serving(account, "blue") == 5)
    grown = time.monotonic()
    burst.leave()
    quiet = time.monotonic()
    wait_for("one left", lambda: desired(account, "blue") == 1, 60)
    wait_for("one that serves", lambda: list(account.states("blue").values()) == ["healthy"], 60)
    back = time.monotonic()
    steady.leave()
    steps = [size for size, _ in itertools.groupby(sizes)]
    print(
        f"burst of 60 users: {steps} in {(grown - began) / MINUTE:.0f} min; back at 1 "
        f"{(back - quiet) / MINUTE:.0f} min after it; answers {dict(burst.seen + steady.seen)}"
    )
    assert steps == [1, 3, 5]
    causes = [
        item["Cause"]
        for item in account.api("autoscaling").describe_scaling_activities(AutoScalingGroupName="blue")["Activities"]
    ]
    for alarm, policy, change in (("blue-pending", "out", "from 1 to 3"), ("blue-idle", "in", "from 2 to 1")):
        words = f"alarm {alarm} in state ALARM triggered policy {policy} changing the desired capacity {change}"
        assert [cause for cause in causes if words in cause], causes
    assert set(burst.seen) == {200}
    assert set(steady.seen) == {200}
    assert sum(burst.seen.values()) > 100


@pytest.mark.slow  # tests/e2e/test_take_over.py has the floors of both sides after a flip
def test_after_a_flip_in_the_burst_both_sides_keep_their_floor(account: Account) -> None:
    for name in ("blue", "green"):
        serving_group(account, name, 1, 5)
    url = ready_url(account, "blue", "green", blue=1, green=0)
    time.sleep(2 * MINUTE)
    for name in ("blue", "green"):
        seeds_rule(account, name, warmup=60)
    burst = Users(url, 60, work=0.2)
    wait_for("three that serve", lambda: serving(account, "blue") >= 3)
    scaling, live = account.api("autoscaling"), serving(account, "blue")
    for name in ("green", "blue"):  # parity before the weights, and what the standby had is retained
        scaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=live)
    wait_for("parity", lambda: serving(account, "green") >= live)
    (listener,) = account.api("elbv2").describe_listeners(LoadBalancerArn=account.balancer)["Listeners"]
    account.api("elbv2").modify_listener(ListenerArn=listener["ListenerArn"], DefaultActions=account.forward(blue=0, green=1))
    seen = watch(account, "blue", 12 * MINUTE)
    burst.leave()
    print(f"flip at {live} instances: standby {seen}, active {desired(account, 'green')}; answers {dict(burst.seen)}")
    assert min(seen) >= live, "the idle standby is not scaled away"
    assert desired(account, "green") >= live
    assert set(burst.seen) == {200}
    wait_for("the active at its floor again", lambda: desired(account, "green") == live, 60)


def test_requests_per_target_grow_the_group_and_their_end_brings_it_back(account: Account) -> None:
    serving_group(account, "blue", 1, 4)
    url = ready_url(account, "blue", blue=1)
    label = "/".join([account.balancer.partition(":loadbalancer/")[2], account.groups["blue"].rpartition(":")[2]])
    counted = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
    account.api("autoscaling").put_scaling_policy(
        AutoScalingGroupName="blue",
        PolicyName="requests",
        PolicyType="TargetTrackingScaling",
        EstimatedInstanceWarmup=60,
        TargetTrackingConfiguration={"PredefinedMetricSpecification": counted, "TargetValue": 10.0},
    )
    users = Users(url, 4, work=0.0, pause=0.1)
    wait_for("four that serve", lambda: serving(account, "blue") == 4)
    users.leave()
    assert set(users.seen) == {200}
    wait_for("one left: no requests are 0 requests, not no data", lambda: desired(account, "blue") == 1, 60)


def test_an_instance_that_streams_is_not_taken_away(account: Account) -> None:
    serving_group(account, "blue", 3, 3, protect_streams=True)
    ready_url(account, "blue", blue=1)
    wait_for("all serving", lambda: serving(account, "blue") == 3)
    names = sorted(account.states("blue"))
    busy = names[0]
    stream = Users(account.instance(busy)["url"], 1, work=4.0)
    wait_for("protection", lambda: protected(account, "blue") == {busy})
    scaling = account.api("autoscaling")
    scaling.update_auto_scaling_group(AutoScalingGroupName="blue", MinSize=0)
    scaling.set_desired_capacity(AutoScalingGroupName="blue", DesiredCapacity=0)
    wait_for("the others gone", lambda: set(account.lifecycle("blue")) == {busy})
    assert account.lifecycle("blue") == {busy: "InService"}
    stream.leave()
    assert set(stream.seen) == {200}
    wait_for("no protection any more", lambda: protected(account, "blue") == set())


def protected(account: Account, group: str) -> set[str]:
    (found,) = account.api("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    return {item["InstanceId"] for item in found["Instances"] if item["ProtectedFromScaleIn"]}
