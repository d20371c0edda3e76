"""The pack as Pulumi starts it: a process that serves the analyzer's protocol."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from tests.layout_rules import ROOT
from tests.policies.judging import NAMED, UNKNOWN

URN = "urn:pulumi:prod::turnout::aws:lb/listener:Listener::web"


@pytest.fixture(scope="module")
def analyzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    env = {**os.environ, "PULUMI_PROJECT": "turnout", "PULUMI_STACK": "prod", "PULUMI_DRY_RUN": "true", "PYTHONUNBUFFERED": "1"}
    env.pop("PYTHONPATH", None)
    command = [sys.executable, "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / "policies" / "__main__.py")]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with subprocess.Popen(command, cwd=elsewhere, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def defaults(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    analyzer.Configure(analyzer_pb2.ConfigureAnalyzerRequest())


def properties(**values: object) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


def listener(blue: object, green: object) -> struct_pb2.Struct:
    groups = [{"arn": "arn:b", "weight": blue}, {"arn": "arn:g", "weight": green}]
    tls = {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}
    return properties(defaultActions=[{"type": "forward", "forward": {"targetGroups": groups}}], **tls)


def request(props: struct_pb2.Struct) -> analyzer_pb2.AnalyzeRequest:
    return analyzer_pb2.AnalyzeRequest(type="aws:lb/listener:Listener", urn=URN, name="web", properties=props)


def test_it_says_what_policies_it_has(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == "turnout"
    assert info.supportsConfig
    assert [policy.name for policy in info.policies] == list(NAMED)
    assert all(policy.description and policy.severity and policy.remediation_steps for policy in info.policies)
    ceiling = next(policy for policy in info.policies if policy.name == "gpu-ceiling")
    assert ceiling.configSchema.properties["ceiling"]["default"] == 64


def test_it_judges_a_resource_and_says_what_it_could_not_judge(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    assert list(analyzer.Analyze(request(listener(100, 0))).diagnostics) == []
    (found,) = analyzer.Analyze(request(listener(90, 0))).diagnostics
    assert (found.policyName, found.enforcementLevel) == ("weights-sum-to-100", analyzer_pb2.MANDATORY)
    assert found.urn == URN
    assert "they say.\nweb (aws:lb/listener:Listener): " in found.message
    (remark,) = analyzer.Analyze(request(listener(UNKNOWN, 50))).diagnostics
    assert remark.enforcementLevel == analyzer_pb2.ADVISORY
    assert remark.message.startswith("can't run policy 'weights-sum-to-100'")


def test_levels_and_parameters_come_from_config(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    standby = {"turnout:blue": "a", "turnout:green": "none"}
    stack = analyzer_pb2.AnalyzeStackRequest(
        resources=[
            analyzer_pb2.AnalyzerResource(
                type="aws:lb/listener:Listener", urn=URN, name="web", properties=properties(tags=standby)
            )
        ]
    )
    (found,) = analyzer.AnalyzeStack(stack).diagnostics
    assert (found.policyName, found.urn) == ("standby-present", URN)
    advisory = analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.ADVISORY)
    analyzer.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig={"standby-present": advisory}))
    (found,) = analyzer.AnalyzeStack(stack).diagnostics
    assert found.enforcementLevel == analyzer_pb2.ADVISORY
    elsewhere = analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.MANDATORY, properties=properties(production=["live"]))
    analyzer.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig={"standby-present": elsewhere}))
    assert list(analyzer.AnalyzeStack(stack).diagnostics) == []
    off = analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.DISABLED)
    analyzer.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig={"standby-present": off}))
    assert list(analyzer.AnalyzeStack(stack).diagnostics) == []


def test_the_packs_file_says_what_runs_it() -> None:
    text = Path(ROOT, "policies", "PulumiPolicy.yaml").read_text()
    assert "name: python" in text
    assert "virtualenv: ../.venv" in text
