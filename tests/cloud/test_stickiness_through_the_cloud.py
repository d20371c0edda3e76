"""Clients with a stickiness cookie through a real cloud, while weights and stickiness change."""

import json
from http.cookies import SimpleCookie
from typing import Any

from cloud_account import DIGESTS, Account, get

from benchmarks.waiting import wait_for


def cookies(url: str) -> dict[str, SimpleCookie]:
    """By the digest that answered the cookie that it came with."""
    found: dict[str, SimpleCookie] = {}

    def both() -> bool:
        status, body, headers = get(url)
        if status == 200:
            found[json.loads(body)["digest"]] = SimpleCookie(headers["set-cookie"])
        return len(found) == 2

    wait_for("answers of both groups", both)
    return found


def sticky(actions: list[dict[str, Any]], **config: Any) -> list[dict[str, Any]]:
    actions[0]["ForwardConfig"]["TargetGroupStickinessConfig"] = config
    return actions


def test_a_cookie_outlives_weight_0_and_a_dead_group_and_ends_with_stickiness(account: Account) -> None:
    listener = account.listen(blue=1, green=1)
    elb = account.api("elbv2")

    def act(blue: int, green: int, **config: Any) -> None:
        elb.modify_listener(ListenerArn=listener, DefaultActions=sticky(account.forward(blue=blue, green=green), **config))

    act(1, 1, Enabled=True, DurationSeconds=600)
    for name in DIGESTS:
        account.launch(name, 1)
        account.await_states(name, "healthy")
    url = account.url(listener)
    held = cookies(url)[DIGESTS["green"]]
    assert (held["AWSALBTGCORS"]["max-age"], held["AWSALBTGCORS"]["samesite"]) == ("600", "None")
    green = {"cookie": f"AWSALBTG={held['AWSALBTGCORS'].value}"}
    assert {json.loads(get(url, headers=green)[1])["digest"] for _ in range(20)} == {DIGESTS["green"]}

    act(1, 0, Enabled=True, DurationSeconds=600)
    wait_for("weights", lambda: {json.loads(get(url)[1])["digest"] for _ in range(8)} == {DIGESTS["blue"]})
    assert {json.loads(get(url, headers=green)[1])["digest"] for _ in range(20)} == {DIGESTS["green"]}

    account.api("autoscaling").update_auto_scaling_group(AutoScalingGroupName="green", MinSize=0, DesiredCapacity=0)
    wait_for("an empty group", lambda: get(url, headers=green)[0] == 503)
    assert get(url)[0] == 200

    act(1, 0, Enabled=False)
    wait_for("the cookie's end", lambda: get(url, headers=green)[0] == 200)
    status, body, headers = get(url, headers=green)
    assert (status, json.loads(body)["digest"], "set-cookie" in headers) == (200, DIGESTS["blue"], False)
