"""The whole local cloud: groups become processes, targets become healthy, weights move real requests."""

import json
import time

from conftest import DIGESTS, Account, get, wait_for


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
        while json.loads(get(url)[1])["digest"] != DIGESTS[name]:
            assert time.perf_counter() < answered + 5
        took.append((time.perf_counter() - answered) * 1000)
    print(f"API answer to weights in force: median {sorted(took)[10]:.1f} ms, worst {max(took):.1f} ms of {len(took)}")
