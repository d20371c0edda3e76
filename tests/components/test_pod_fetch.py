"""The script of the init container, run: it lets a server see only what is the release."""

import hashlib
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest

SCRIPT = (resources.files("turnout_components") / "pods/fetch.sh").read_text()
STORE = """#!/bin/sh
# aws s3 cp --only-show-errors s3://models/<name> <file>, from a folder; each call is a line.
echo "$4" >> "$STORE/calls"
[ ! -e "$STORE/down" ] || { rm "$STORE/down"; exit 1; }
cp "$STORE/${4#s3://models/}" "$5"
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Pod:
    """The volumes of a pod, and a store in place of S3."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def told(self) -> str:
        return (self.folder / "told").read_text().strip()

    @property
    def calls(self) -> list[str]:
        return (self.store / "calls").read_text().split()

    def keep(self, name: str, content: bytes) -> bytes:
        """Puts a file into the store."""
        file = self.store / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return content

    def fetch(self, uri: str, digest: str, host: str = "pod-1") -> int:
        """Runs the script as the init container does; its exit status."""
        environ = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOSTNAME": host,
            "STORE": str(self.store),
            "MODELS": str(self.models),
            "MODEL_URI": uri,
            "MODEL_SHA256": digest,
            "TURNOUT_TOLD": str(self.folder / "told"),
            "TURNOUT_PAUSE": "0",
        }
        return subprocess.run(["/bin/sh", "-c", SCRIPT], env=environ, check=False, capture_output=True, timeout=60).returncode

    def files(self, digest: str) -> dict[str, bytes]:
        folder = self.models / digest
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    made = Pod(tmp_path)
    for folder in ("bin", "store", "models"):
        (tmp_path / folder).mkdir()
    aws = tmp_path / "bin" / "aws"
    aws.write_text(STORE)
    aws.chmod(0o755)
    return made


def many(pod: Pod, **files: bytes) -> str:
    """A model of many files in the store; the digest of its list."""
    for name, content in files.items():
        pod.keep(f"llm/{name}", content)
    sums = "".join(f"{sha256(content)}  {name}\n" for name, content in files.items())
    return sha256(pod.keep("llm/SHA256SUMS", sums.encode()))


def test_a_model_of_one_file_lies_under_its_hash(pod: Pod) -> None:
    digest = sha256(pod.keep("llm.onnx", b"weights"))
    assert pod.fetch("s3://models/llm.onnx", digest) == 0
    assert pod.files(digest) == {"llm.onnx": b"weights"}
    assert [one.name for one in pod.models.iterdir()] == [digest]


def test_a_model_of_many_files_is_checked_file_by_file(pod: Pod) -> None:
    digest = many(pod, config=b"{}", weights=b"w" * 4096)
    assert pod.fetch("s3://models/llm/", digest) == 0
    assert set(pod.files(digest)) == {"SHA256SUMS", "config", "weights"}


def test_what_is_not_the_release_is_refused_and_leaves_nothing(pod: Pod) -> None:
    pod.keep("llm.onnx", b"other weights")
    digest = sha256(b"weights")
    assert pod.fetch("s3://models/llm.onnx", digest) == 3
    assert list(pod.models.iterdir()) == []
    assert f"the release says sha256:{digest}" in pod.told


def test_a_file_that_its_list_does_not_describe_is_refused(pod: Pod) -> None:
    digest = many(pod, config=b"{}", weights=b"weights")
    pod.keep("llm/weights", b"others")
    assert pod.fetch("s3://models/llm/", digest) == 3
    assert list(pod.models.iterdir()) == []
    assert "file s3://models/llm/weights has" in pod.told


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "a/./b", "a//b"])
def test_a_list_that_leads_out_of_the_folder_is_refused(pod: Pod, name: str) -> None:
    digest = sha256(pod.keep("llm/SHA256SUMS", f"{sha256(b'x')}  {name}\n".encode()))
    assert pod.fetch("s3://models/llm/", digest) == 3
    assert pod.calls == ["s3://models/llm/SHA256SUMS"]


def test_a_model_that_is_there_is_not_fetched_again(pod: Pod) -> None:
    digest = sha256(pod.keep("llm.onnx", b"weights"))
    assert pod.fetch("s3://models/llm.onnx", digest) == 0
    assert pod.fetch("s3://models/llm.onnx", digest, host="pod-2") == 0
    assert len(pod.calls) == 1


def test_a_download_that_fails_is_tried_again_within_the_container(pod: Pod) -> None:
    digest = sha256(pod.keep("llm.onnx", b"weights"))
    (pod.store / "down").touch()
    assert pod.fetch("s3://models/llm.onnx", digest) == 0
    assert len(pod.calls) == 2


def test_what_cannot_be_fetched_is_told(pod: Pod) -> None:
    assert pod.fetch("s3://models/none", sha256(b"")) == 1
    assert len(pod.calls) == 5
    assert pod.told == "s3://models/none cannot be fetched"
    assert pod.fetch("gs://models/llm", sha256(b"")) == 3


def test_what_a_killed_fetch_left_is_no_model(pod: Pod) -> None:
    digest = sha256(pod.keep("llm.onnx", b"weights"))
    (pod.models / ".new-pod-1").mkdir()
    (pod.models / ".new-pod-1" / "half").write_bytes(b"wei")
    assert pod.fetch("s3://models/llm.onnx", digest) == 0
    assert pod.files(digest) == {"llm.onnx": b"weights"}


def test_of_pods_that_share_a_folder_the_first_to_be_done_names_it(pod: Pod) -> None:
    """The second pod's fetch finds the name taken when it is done: it neither fails nor puts its own inside."""
    digest = sha256(pod.keep("llm.onnx", b"weights"))
    slow = (pod.folder / "bin" / "aws").read_text().replace("\ncp ", f"\nmkdir -p '{pod.models / digest}/kept'; cp ", 1)
    (pod.folder / "bin" / "aws").write_text(slow)
    assert pod.fetch("s3://models/llm.onnx", digest) == 0
    assert [one.name for one in (pod.models / digest).iterdir()] == ["kept"]
    assert [one.name for one in pod.models.iterdir()] == [digest]
