"""A model's files are hashed and verified, in a folder and in S3."""

import hashlib
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from turnout_components.artifact import SUMS, ArtifactError, LocalFiles, S3Files, hash_model, parse_sums, verify
from turnout_components.release import Model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"weights")
    (folder / "tokenizer/vocab.json").write_bytes(b"{}")
    return folder


def named(uri: str, sha256: str) -> Model:
    return Model(name="m", version="1", uri=uri, sha256=sha256)


def test_a_file_is_hashed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"abc")
    assert hash_model(tmp_path / "model.onnx") == ("sha256:" + hashlib.sha256(b"abc").hexdigest(), None)


def test_a_folder_is_hashed_by_its_list_whatever_the_order_of_its_files(model: Path) -> None:
    digest, sums = hash_model(model)
    assert sums is not None
    assert list(parse_sums(sums)) == ["tokenizer/vocab.json", "weights.bin"]
    (model / SUMS).write_text(sums)
    assert hash_model(model) == (digest, sums)
    (model / "weights.bin").write_bytes(b"Weights")
    assert hash_model(model)[0] != digest


def test_what_cannot_be_hashed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="neither a file nor a folder"):
        hash_model(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match="empty folder"):
        hash_model(tmp_path)
    (tmp_path / "two\nlines").touch()
    with pytest.raises(ArtifactError, match="cannot hold the name"):
        hash_model(tmp_path)


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/passwd"])
def test_a_list_that_leads_out_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ArtifactError, match="leads out of the folder"):
        parse_sums(f"{'0' * 64}  {name}\n")


def test_a_list_of_another_form_is_refused() -> None:
    with pytest.raises(ArtifactError, match="line 2"):
        parse_sums(f"{'0' * 64}  a\nmd5  b\n")


def test_a_file_of_an_installed_package_is_verified_where_it_is(tmp_path: Path) -> None:
    there = hashlib.sha256(Path(json.decoder.__file__).read_bytes()).hexdigest()
    files, uri = LocalFiles(tmp_path), "package:json/decoder.py"
    assert verify(named(uri, f"sha256:{there}"), files, whole=True) == []
    (fault,) = verify(named(uri, "sha256:" + "0" * 64), files, whole=True)
    assert f"{uri} has sha256:{there}" in fault
    (missing,) = verify(named("package:json/none.py", f"sha256:{there}"), files, whole=True)
    assert "there is no file" in missing
    (unknown,) = verify(named("package:no_such_package/x", f"sha256:{there}"), files, whole=True)
    assert "no package 'no_such_package' is installed" in unknown


def test_files_in_a_folder_are_verified_each(model: Path) -> None:
    digest, sums = hash_model(model)
    (model / SUMS).write_text(sums or "")
    files, wanted = LocalFiles(model.parent), named("file:model/", digest)
    looked: list[str] = []
    assert verify(wanted, files, whole=True, told=looked.append) == []
    assert looked == ["file:model/tokenizer/vocab.json", "file:model/weights.bin"]
    (model / "weights.bin").write_bytes(b"tampered")
    (model / "tokenizer/vocab.json").unlink()
    missing, tampered = verify(wanted, files, whole=True)
    assert "there is no file" in missing
    assert "file:model/weights.bin has sha256:" in tampered
    (model / SUMS).write_text("")
    (fault,) = verify(wanted, files, whole=True)
    assert f"{SUMS} has sha256:" in fault


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="models")
        yield client


def test_an_object_is_judged_by_the_hash_that_s3_keeps(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put_object(Bucket="models", Key="m/weights.bin", Body=b"weights", ChecksumAlgorithm="SHA256")
    wanted = named("s3://models/m/weights.bin", "sha256:" + hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setattr(bucket, "get_object", None)
    assert verify(wanted, S3Files(bucket), whole=True) == []
    other = named(wanted.uri, "sha256:" + "0" * 64)
    assert "has sha256:" in verify(other, S3Files(bucket), whole=False)[0]


def test_an_object_without_a_hash_is_read_unless_the_look_is_quick(bucket: Any) -> None:
    bucket.put_object(Bucket="models", Key="w", Body=b"tampered")
    wanted = named("s3://models/w", "sha256:" + hashlib.sha256(b"weights").hexdigest())
    kept = bucket.head_object(Bucket="models", Key="w", ChecksumMode="ENABLED").get("ChecksumSHA256")
    assert kept is None
    assert verify(wanted, S3Files(bucket), whole=False) == []
    assert len(verify(wanted, S3Files(bucket), whole=True)) == 1


def test_what_is_missing_in_s3_is_told(bucket: Any) -> None:
    wanted = named("s3://models/nothing/", "sha256:" + "0" * 64)
    assert verify(wanted, S3Files(bucket), whole=False) == [f"s3://models/nothing/{SUMS} cannot be read: NoSuchKey"]


def test_each_place_refuses_the_others_uris(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is no s3:// URI"):
        S3Files(bucket).read("file:a")
    with pytest.raises(ArtifactError, match="is no file: URI"):
        LocalFiles(tmp_path).read("s3://a/b")
    for uri in ("s3://", "s3://models/", "s3:///key"):
        with pytest.raises(ArtifactError, match="names no object"):
            S3Files(bucket).read(uri)
