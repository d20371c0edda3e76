"""A share of live requests mirrored to a candidate that is slow and fails: users notice nothing, and the logs tell it all."""

import base64
import hashlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from cloud_account import DIGESTS, SPEED, Account
from turnout_components.mirror import Mirror
from turnout_components.mirror_setting import MirrorSetting, instances
from turnout_components.user_data import render

from benchmarks.waiting import wait_for
from tests.cloud import prepared_cloud
from turnout.analysis.measurement import Side
from turnout.analysis.shadow import Line, Rules, compare
from turnout.cloud import images
from turnout.metrics.mirror_logs import MirrorLogs
from turnout.metrics.provider import MetricsUnavailable

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"
IMAGE = json.dumps({"image": [8] * 64}).encode()


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """A cloud that runs the digits servers."""
    cloud = prepared_cloud.start(tmp_path, attached=True, images=[DIGITS], speed=SPEED, root=ROOT)
    try:
        model = DIGITS / "models" / "1.0.0.onnx"
        account = Account(cloud)
        account.build(images.read(DIGITS).reference, "sha256:" + hashlib.sha256(model.read_bytes()).hexdigest())
        yield account
    except BaseException:
        print((tmp_path / "cloud" / "daemon.log").read_text()[-4000:])
        raise
    finally:
        cloud.stop()


def launch(account: Account, name: str, *flags: str) -> None:
    """An instance of the digits server behind the target group `name`."""
    release = {
        "name": f"digits-{name}",
        "digest": DIGESTS[name],
        "image": account.image,
        "model": {"name": "digits", "version": "1.0.0", "uri": "file:models/1.0.0.onnx", "sha256": account.sha256},
        "engine": {"name": "onnxruntime", "flags": list(flags)},
    }
    data = base64.b64encode(render("digits", name, release, 8000, 30).encode()).decode()
    template = {"ImageId": "ami-1", "InstanceType": "g5.xlarge", "UserData": data}
    account.api("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=template)
    account.api("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=1,
        MaxSize=1,
        LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
        VPCZoneIdentifier=",".join(account.subnets),
        TargetGroupARNs=[account.groups[name]],
    )


@dataclass
class Users:
    """One user who asks again and again over one connection, and never twice for the same."""

    url: str
    answers: list[tuple[int, dict[str, Any], float]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        while not self.over.wait(0.02):
            begin = time.perf_counter()
            try:
                connection.request("POST", "/v1/predict", IMAGE, {"content-type": "application/json"})
                response = connection.getresponse()
                self.answers.append((response.status, json.loads(response.read()), time.perf_counter() - begin))
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.failures.append(error)
                connection.close()
        connection.close()


def logged(account: Account, name: str) -> list[Line]:
    """The mirrored requests that the servers of an environment logged, as CloudWatch Logs has them."""
    now = datetime.now(UTC)
    logs = MirrorLogs(account.api("logs"), f"/turnout/digits/{name}")
    return logs.lines(now - timedelta(minutes=10), now + timedelta(minutes=1))


def before(account: Account, name: str) -> list[str | None]:
    """The mirrors before an environment's servers."""
    return [found["mirror"] for found in account.cloud.state()["instances"] if found["environment"] == name]


def test_users_notice_nothing_of_a_slow_and_failing_candidate_whose_log_is_whole(account: Account) -> None:
    listener = account.listen(blue=100, green=0)
    for name in ("blue", "green"):
        account.api("logs").create_log_group(logGroupName=f"/turnout/digits/{name}")
    launch(account, "blue")
    launch(account, "green", "--latency-ms=6000", "--error-rate=0.5")
    account.await_states("blue", "healthy")
    account.await_states("green", "healthy")
    users = Users(account.url(listener))
    thread = threading.Thread(target=users.run)
    thread.start()
    setting = MirrorSetting(account.api("ssm"), "blue")
    try:
        wait_for("answers", lambda: len(users.answers) > 20)
        targets = instances(account.api("autoscaling"), account.api("ec2"), "green", 8000)
        setting.put(Mirror(50, targets))
        wait_for("a mirror before blue", lambda: None not in before(account, "blue"))
        wait_for("copies", lambda: len(logged(account, "blue")) > 60)
        setting.put(Mirror(10, targets))
        changed = len(users.answers)
        wait_for("more answers", lambda: len(users.answers) > changed + 100)
        assert before(account, "green") == [None]
        setting.clear()
        wait_for("no mirror", lambda: before(account, "blue") == [None])
        after = len(users.answers)
        wait_for("more answers", lambda: len(users.answers) > after + 50)
    finally:
        users.over.set()
        thread.join()

    assert users.failures == []
    assert {(status, answer["release"]) for status, answer, _ in users.answers} == {(200, DIGESTS["blue"])}
    slowest = max(seconds for *_, seconds in users.answers)
    print(f"{len(users.answers)} answers, the slowest in {slowest * 1000:.0f} ms")
    assert slowest < 2, "nobody waits for 6 s"

    live = logged(account, "blue")
    wait_for("all copies' lines", lambda: len(logged(account, "green")) >= len(live))
    found = compare(live, logged(account, "green"), Rules(fields=("digit",), patience=0), time.time() + 60)
    print(found.said)
    assert (found.pairs, found.missing, found.stray, found.ambiguous) == (len(live), 0, 0, 0)
    assert 60 < found.pairs < len(users.answers) / 2, "a share, of which there was none at the end"
    assert (found.late, found.same_answer) == (found.pairs, found.answered)
    assert 0 < found.failed[Side.CANDIDATE].bad < found.pairs
    assert found.failed[Side.ACTIVE].bad == 0
    assert found.slower[50] > 5.5


def test_a_dead_mirror_is_started_again_and_one_without_candidates_copies_nothing(account: Account) -> None:
    listener = account.listen(blue=100, green=0)
    with pytest.raises(MetricsUnavailable, match="log group /turnout/digits/blue cannot be read"):
        logged(account, "blue")
    account.api("logs").create_log_group(logGroupName="/turnout/digits/blue")
    launch(account, "blue")
    account.await_states("blue", "healthy")
    setting = MirrorSetting(account.api("ssm"), "blue")
    setting.clear()
    assert setting.read() is None
    setting.put(Mirror(100, (("10.9.9.9", 8000),)))
    assert setting.read() == Mirror(100, (("10.9.9.9", 8000),))
    (first,) = wait_for("a mirror", lambda: [url for url in before(account, "blue") if url])
    users = Users(account.url(listener))
    thread = threading.Thread(target=users.run)
    thread.start()
    try:
        wait_for("answers", lambda: len(users.answers) > 20)
        assert {status for status, *_ in users.answers} == {200}
        assert logged(account, "blue") == []
    finally:
        users.over.set()
        thread.join()
    children = psutil.Process(account.cloud.pid).children()
    (envoy,) = [child for child in children if any("mirrors" in part for part in child.cmdline())]
    envoy.kill()
    wait_for("another mirror", lambda: before(account, "blue") not in ([first], [None]))
    with pytest.raises(ValueError, match="share = 101: is no share"):
        setting.put(Mirror(101, ()))
