"""Which API server the provider reaches, by which kubeconfig, and what it refuses before it calls anything."""

import threading
from collections.abc import Iterator

import pytest

from tests.providers.kubernetes_samples import MAPS, TOKEN, FakeTime, config, kind, prompts
from tests.providers.kubernetes_server import Server, serving, status
from turnout.engine.provider import ProviderConfig, ProviderError
from turnout.engine.values import UNKNOWN
from turnout.providers.kubernetes import type_of


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.mark.parametrize("address", ["https://10.0.0.1:6443", "https://api.example.com", "https://127.0.0.1.example.com", ""])
def test_no_api_server_beyond_this_machine_is_called(server, time, address):
    text = server.kubeconfig.replace(server.url, address)
    with pytest.raises(ProviderError, match="is not on this machine; the local engine never calls anything else"):
        kind(MAPS, time).create(ProviderConfig({"kubeconfig": text}), prompts(), TOKEN)
    assert server.calls == []


def test_a_kubeconfig_is_a_path_or_a_text_and_never_the_shells(server, time, tmp_path, monkeypatch):
    path = tmp_path / "config"
    path.write_text(server.kubeconfig)
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert kind(MAPS, time).read(ProviderConfig({"kubeconfig": str(path)}), "shop/x", prompts(), {}) is None
    with pytest.raises(ProviderError, match="no kubeconfig; the local engine needs an explicit provider"):
        kind(MAPS, time).read(ProviderConfig({}), "shop/x", prompts(), {})
    with pytest.raises(ProviderError, match=r"kubeconfig .*nothing cannot be read"):
        kind(MAPS, time).read(ProviderConfig({"kubeconfig": str(tmp_path / "nothing")}), "shop/x", prompts(), {})
    with pytest.raises(ProviderError, match="Context 'gone' not found"):
        kind(MAPS, time).read(ProviderConfig({"kubeconfig": str(path), "context": "gone"}), "shop/x", prompts(), {})


@pytest.mark.parametrize(
    "option",
    [
        {"helmReleaseSettings": {}}, {"kubeClientSettings": {}}, {"renderYamlToDirectory": "x"}, {"deleteUnreachable": True},
        {"enableConfigMapMutable": True}, {"enableSecretMutable": True}, {"skipUpdateUnreachable": True},
        {"alwaysRender": True}, {"enableServerSideApply": False},
    ],
)  # fmt: skip
def test_every_other_option_of_the_provider_is_refused_by_name_before_anything_is_called(server, time, option):
    (name,) = option
    with pytest.raises(ValueError, match=f"provider kubernetes: {name}.* not supported by the local engine"):
        kind(MAPS, time).prepare(config(server, **option), prompts())
    with pytest.raises(ProviderError, match=name):
        kind(MAPS, time).read(config(server, **option), "shop/x", prompts(), {})
    assert server.calls == []


def test_a_cluster_that_is_not_known_yet_is_no_fault_of_a_preview():
    rtype = type_of(MAPS)
    assert rtype is not None
    its = ProviderConfig({"kubeconfig": UNKNOWN, "namespace": UNKNOWN, "clusterIdentifier": "prod"})
    assert rtype.prepare(its, prompts())["metadata"] == {"name": "prompts", "namespace": UNKNOWN}


def test_an_api_server_that_is_away_is_named(time):
    with serving() as server:
        its = config(server)
    with pytest.raises(ProviderError, match=rf"ConfigMap.*the API server {server.url} does not answer"):
        kind(MAPS, time).read(its, "shop/x", prompts(), {})


def test_threads_share_a_client(server, time):
    rtype, ids = kind(MAPS, time), []

    def make(number: int) -> None:
        ids.append(rtype.create(config(server), prompts(metadata={"name": f"m{number}"}), f"{number:032x}").id)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == sorted(f"shop/m{number}" for number in range(16))


def test_an_api_server_that_is_busy_is_asked_again_and_not_for_ever(server, time):
    busy = [status(429, "TooManyRequests", "too many requests", retryAfterSeconds=0)] * 3
    server.before = lambda call: busy.pop() if busy and call.method == "POST" else None
    assert kind(MAPS, time).create(config(server), prompts(), TOKEN).id == "shop/prompts"
    assert len(server.changes()) == 4
    server.before = lambda _: status(429, "TooManyRequests", "too many requests", retryAfterSeconds=0)
    with pytest.raises(ProviderError, match="ConfigMap shop/prompts: too many requests"):
        kind(MAPS, time).read(config(server), "shop/prompts", prompts(), {})
