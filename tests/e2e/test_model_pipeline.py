"""A model's whole way by commands on the local cloud, under traffic: validated, published, on the standby, a canary, promoted;
and where a release that is broken or wrong is stopped."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from turnout_components.artifact import hash_model
from turnout_components.release import parse

from benchmarks.rollouts import QUALITY, SURE
from benchmarks.service import ROOT, merged, stack_file
from benchmarks.traffic import Load, load
from benchmarks.waiting import wait_for
from tests.e2e.test_recreate_in_place import Project
from turnout.access import Access
from turnout.cloud import client
from turnout.stacks import load as load_stack

pytestmark = pytest.mark.slow
"""tests/pipeline holds each stage, tests/cli/test_publishing.py and test_bringing.py what leads from one to the next."""
RATE = 200.0
DRAFTS = "models/digits/releases"
PUBLISHED = "models/digits/published"
CANARY = {
    "steps": [50, 100],
    "bake": "4s",
    "observe": "4s",
    "extend": "60s",
    "gates": [*SURE, QUALITY],
    "smoke_test": "python -m examples.digits.smoke --url $URL --environment $ENVIRONMENT",
    "waive": dict.fromkeys(("tests", "evaluation", "alerts", "notified"), "a test"),
}


class Pipeline(Project):
    """The project with a model's folder: drafts beside the server's code, and what was published."""

    def draft(self, name: str) -> Path:
        return self.root / DRAFTS / f"{name}.yaml"

    def publish(self, name: str) -> Any:
        return self.document("releases", "publish", str(self.draft(name)), "--bucket", "models")

    def api(self, service: str) -> Any:
        return Access(load_stack(self.root, "local"), self.cloud.endpoint).client(service)

    def objects(self) -> list[str]:
        return [one["Key"] for one in self.api("s3").list_objects_v2(Bucket="models").get("Contents", [])]

    @property
    def published(self) -> list[str]:
        return sorted(path.stem for path in (self.root / PUBLISHED).glob("*.yaml"))

    def serving(self) -> dict[str, str]:
        """The release with traffic, by environment."""
        found = self.document("status")
        return {one["name"]: one["release"].partition("@")[0] for one in found["environments"] if one["weight_live"]}

    def load(self) -> Any:
        out = self.root / "load.json"
        return load(self.url, RATE, out, slow_share=0.02, feedback=self.cloud.endpoint)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """1.0.0, published, in blue with all traffic; nothing in green."""
    root = tmp_path_factory.mktemp("pipeline")
    settings = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    (root / "Pulumi.yaml").write_text(yaml.safe_dump({**settings, "main": str(ROOT / "infra"), "stackConfigDir": "stacks"}))
    (root / "stacks").mkdir()
    shutil.copytree(ROOT / "examples/digits", root / "models/digits", ignore=shutil.ignore_patterns("__pycache__", "load"))
    config = merged(
        stack_file(),
        {
            "releases": PUBLISHED,
            "environments": {"blue": {"release": None}, "green": {"release": None}},
            "pool": {"minimum": 1},
            "health": {"drain": 1},
        },
    )
    config["rollout"] = CANARY
    (root / "stacks/Pulumi.local.yaml").write_text(yaml.safe_dump({"config": {f"turnout:{k}": v for k, v in config.items()}}))
    os.environ.pop("TURNOUT_STACK", None)
    cloud = client.start(root, attached=True, speed=60.0, images=[root / "models"], root=ROOT)
    try:
        made = Pipeline(root, cloud)
        made.api("s3").create_bucket(Bucket="models")
        made.edit({"environments": {"blue": {"release": made.publish("digits-1.0.0")["id"]}}})
        for words in (("init",), ("up",)):
            code, said = made.run(*words)
            assert code == 0, said
        wait_for("an answer", lambda: made.serves())
        yield made
    finally:
        cloud.stop()


def truncated(project: Pipeline) -> str:
    """A draft whose model lost its end before it was hashed: the manifest is right, the model is not."""
    draft = yaml.safe_load(project.draft("digits-2.0.0").read_text())
    source = project.root / "models/digits/models/2.0.0.onnx"
    lost = source.with_name("2.0.1.onnx")
    lost.write_bytes(source.read_bytes()[:9000])
    draft["model"] |= {"version": "2.0.1", "uri": "file:models/2.0.1.onnx", "sha256": hash_model(lost)[0]}
    project.draft("digits-2.0.1").write_text(yaml.safe_dump(draft))
    return "digits-2.0.1"


def stopped(project: Pipeline, name: str, said: str) -> None:
    """Validation refuses it, and nothing is published, deployed or written."""
    before = project.objects(), project.published, project.file.read_text()
    code, text = project.run("releases", "validate", str(project.draft(name)))
    assert (code, said in text) == (2, True)
    assert (project.objects(), project.published, project.file.read_text()) == before


@pytest.mark.timeout(300)
def test_a_good_release_goes_all_the_way_and_a_broken_one_stops_at_validation(project: Pipeline) -> None:
    with project.load() as traffic:
        stopped(project, truncated(project), "the model cannot be read")
        assert project.run("releases", "validate", str(project.draft("digits-2.0.0")))[0] == 0
        made = project.publish("digits-2.0.0")
        assert (made["uploaded"], made["pushed"]) == (True, False)
        release = parse(project.root / PUBLISHED / "digits-2.0.0.yaml")
        assert release.id == made["id"]
        assert release.model.sha256.removeprefix("sha256:") in release.model.uri
        assert (release.model.size, release.model.format) == (19548, "onnx")
        code, text = project.run("rollout", "start", "--release", "digits-2.0.0")
        assert code == 0, text
        assert text.index("deploy digits-2.0.0 to green") < text.index("has begun") < text.index("promoted: green")
        assert project.serving() == {"green": "digits-2.0.0"}
        assert project.config["environments"]["green"]["release"] == made["id"]
        assert project.config["traffic"]["active"] == "green"
    assert not {kind: count for kind, count in traffic.lost.items() if count}
    assert versions(traffic) >= {"1.0.0", "2.0.0"}


@pytest.mark.timeout(300)
def test_a_release_that_validates_and_is_wrong_is_taken_back_by_the_gate(project: Pipeline) -> None:
    name = "digits-4.0.0-wrong"
    before = project.serving()
    stopped(project, "digits-3.0.0-bad", "2 of 30 requests failed")
    assert project.run("releases", "validate", str(project.draft(name)))[0] == 0
    project.publish(name)
    kept = next(iter(set(project.published) - {name, *before.values()}), None)
    if kept is not None:
        file = project.file.read_text()
        code, text = project.run("rollout", "start", "--release", name)
        assert (code, project.file.read_text()) == (3, file), text
        assert f"give it up now set turnout:traffic.standby.discard to {kept}" in text.replace("\n", " ")
        project.edit({"traffic": {"standby": {"discard": kept}}})
    with project.load() as traffic:
        traffic.await_requests(int(5 * RATE))
        code, text = project.run("rollout", "start", "--release", name)
    assert code == 5, text
    assert "error: taken back: quality: " in text
    assert project.serving() == before
    code, text = project.run("rollout", "start", "--release", name)
    assert code == 3, text
    assert f"{name} is marked unstable" in text
    assert not {kind: count for kind, count in traffic.lost.items() if count}
    assert "4.0.0-wrong" in versions(traffic)


def versions(traffic: Load) -> set[str]:
    return set(traffic.result["releases"])
