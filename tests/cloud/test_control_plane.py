"""What serves AWS's API, in this process."""

import inspect
import os
from contextlib import nullcontext

import boto3
import pytest

from turnout.cloud.control_plane import ControlPlane


def test_a_call_looks_nothing_up_that_the_one_before_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    control = ControlPlane(nullcontext(), lambda: None, {})
    control.start()
    try:
        client = boto3.client(
            "sts", "us-east-1", endpoint_url=control.endpoint, aws_access_key_id="test", aws_secret_access_key="test"
        )
        first = client.get_caller_identity()["Arn"]
        looked: list[str] = []
        listed, members = os.listdir, inspect.getmembers
        monkeypatch.setattr("moto.backends.os.listdir", lambda path: looked.append(str(path)) or listed(path))
        monkeypatch.setattr("moto.core.utils.inspect.getmembers", lambda *asked: looked.append("methods") or members(*asked))
        assert client.get_caller_identity()["Arn"] == first
        assert looked == []
    finally:
        control.close()
