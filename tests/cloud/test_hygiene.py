"""Nothing is left behind: no process, no port, no file that makes the next start fail."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from cloud_account import Account, get, running_cloud

from benchmarks.waiting import wait_for
from tests.cloud import prepared_cloud
from tests.running import running
from turnout.cloud import client
from turnout.cloud.client import CloudError
from turnout.cloud.ports import is_free
from turnout.cloud.processes import Registry


def test_a_second_start_in_one_home_is_told_and_another_home_is_free(tmp_path: Path) -> None:
    begin = prepared_cloud.start
    with running_cloud(tmp_path / "one", start=begin) as one, running_cloud(tmp_path / "two", start=begin) as two:
        assert one.endpoint != two.endpoint
        with pytest.raises(CloudError, match=rf"already runs in .*one: {one.endpoint}, pid {one.pid}"):
            client.start(tmp_path / "one", attached=True, images=[])
        (one.home / "cloud" / "state.json").rename(one.home / "hidden")
        with pytest.raises(CloudError, match="already runs in"):
            client.start(tmp_path / "one", attached=True, images=[])
        (one.home / "hidden").rename(one.home / "cloud" / "state.json")
        assert client.find(tmp_path / "two") == two
    assert client.find(tmp_path / "one") is None


def test_stop_ends_servers_and_envoy_and_frees_the_ports(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        account, url = _service(cloud)
        children = psutil.Process(cloud.pid).children(recursive=True)
        assert len(children) == 2
    wait_for("end of all", lambda: not running(children))
    assert is_free(int(url.rpartition(":")[2]))
    assert json.loads((tmp_path / "cloud" / "processes.json").read_text()) == {}
    assert client.find(tmp_path) is None
    with pytest.raises(CloudError, match="does not answer"):
        account.cloud.state()


@pytest.mark.parametrize("leashed", [True, False], ids=["kernel", "registry"])
def test_a_killed_daemon_leaves_no_process_after_the_next_start(tmp_path: Path, leashed: bool) -> None:
    with running_cloud(tmp_path, start=prepared_cloud.start) as cloud:
        _service(cloud)
        children = psutil.Process(cloud.pid).children(recursive=True)
        if not leashed:
            stray = _stray(tmp_path)
        os.kill(cloud.pid, signal.SIGKILL)
        wait_for("end of the daemon", lambda: client.find(tmp_path) is None and not psutil.pid_exists(cloud.pid))
        with running_cloud(tmp_path, start=prepared_cloud.start) as after:
            assert not running(children)
            assert after.state()["instances"] == []
            if not leashed:
                assert stray.wait(5) == -signal.SIGKILL


def _stray(home: Path) -> "subprocess.Popen[bytes]":
    """A child of the cloud that the kernel does not end with it, as on a system without PR_SET_PDEATHSIG."""
    stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Registry(home / "cloud" / "processes.json").add(stray.pid)
    return stray


def test_the_registry_spares_a_process_that_got_a_dead_childs_pid(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        path = tmp_path / "processes.json"
        path.write_text(json.dumps({other.pid: psutil.Process(other.pid).create_time() - 60, 2**22 + 1: 0.0}))
        assert Registry(path).clean() == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_an_attached_cloud_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from turnout.cloud import client;"
        f"h = client.start(Path({str(tmp_path)!r}), attached=True, images=[]); print(h.pid, flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    daemon = psutil.Process(int(starter.stdout.readline()))
    children = daemon.children()
    starter.kill()
    starter.wait()
    starter.stdout.close()
    wait_for("end of the daemon", lambda: not running((daemon, *children)))
    assert client.find(tmp_path) is None


def test_a_detached_cloud_outlives_its_starter_and_ends_by_stop(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from turnout.cloud import client;"
        f"client.start(Path({str(tmp_path)!r}), attached=False, images=[])"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    cloud = client.find(tmp_path)
    assert cloud is not None
    assert cloud.state()["endpoint"] == cloud.endpoint
    process = psutil.Process(cloud.pid)
    cloud.stop()
    assert not running([process])


def test_a_killed_envoy_comes_back_on_the_same_ports(tmp_path: Path) -> None:
    with running_cloud(tmp_path, start=prepared_cloud.start) as cloud:
        _, url = _service(cloud)
        (envoy,) = [p for p in psutil.Process(cloud.pid).children() if "envoy" in p.name()]
        envoy.kill()
        wait_for("answer", lambda: _answers(url))


def test_client_and_state_need_no_moto() -> None:
    code = "import sys; from turnout.cloud import client; sys.exit(any(m.split('.')[0] == 'moto' for m in sys.modules))"
    began = time.perf_counter()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    print(f"import of the client: {time.perf_counter() - began:.2f} s")


def _service(cloud: client.CloudHandle) -> tuple[Account, str]:
    account = Account(cloud)
    account.build()
    listener = account.listen(blue=1)
    account.launch("blue", 1)
    account.await_states("blue", "healthy")
    url = account.url(listener)
    wait_for("answer", lambda: _answers(url))
    return account, url


def _answers(url: str) -> bool:
    try:
        return get(url)[0] == 200
    except OSError:
        return False
