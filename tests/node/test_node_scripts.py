"""Each of a node's programs by itself: what it fetches and refuses, the secrets it reads, the metrics it sends."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from machine import GROUP, Machine, sha256
from services import IDENTITY, Exposition, Vault, serving

from tests.moto_server import empty

FILES = {"llm/1/weights.bin": b"weights", "llm/1/tokenizer/vocab.json": b"{}"}
PRINT = ["python3", "-c", "import os, sys; print(os.environ, sys.argv[1:], sys.stdin.read())"]


def sums(files: dict[str, bytes]) -> bytes:
    """What `sha256sum` prints of a folder's files."""
    names = {key.removeprefix("llm/1/"): content for key, content in files.items()}
    return "".join(f"{sha256(content).removeprefix('sha256:')}  {name}\n" for name, content in names.items()).encode()


def serve(machine: Machine, release: dict[str, Any], status: int = 0, **options: Any) -> str:
    machine.image(PRINT)
    machine.install(release, **options)
    done = machine.run("serve")
    assert done.returncode == status, done
    return done.stdout if status == 0 else done.stderr


def test_a_folder_is_fetched_and_checked_file_by_file(machine: Machine) -> None:
    machine.put({**FILES, "llm/1/SHA256SUMS": sums(FILES)})
    said = serve(machine, machine.release("s3://models/llm/1/", sha256(sums(FILES))))
    folder = machine.models / sha256(sums(FILES)).removeprefix("sha256:")
    assert (folder / "weights.bin").read_bytes() == b"weights"
    assert (folder / "tokenizer/vocab.json").read_bytes() == b"{}"
    assert f"'TURNOUT_MODEL': '{folder}'" in said


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"llm/1/tokenizer/vocab.json": b"{1}"}, "file s3://models/llm/1/tokenizer/vocab.json has sha256:"),
        ({"llm/1/SHA256SUMS": b""}, "list s3://models/llm/1/SHA256SUMS has sha256:e3b0c442"),
    ],
)
def test_a_folder_with_a_changed_file_is_refused(machine: Machine, changed: dict[str, bytes], refusal: str) -> None:
    machine.put({**FILES, "llm/1/SHA256SUMS": sums(FILES), **changed})
    release = machine.release("s3://models/llm/1/", sha256(sums(FILES)))
    assert refusal in serve(machine, release, 3)
    assert machine.docker_calls("run") == []
    assert not (machine.models / release["model"]["sha256"].removeprefix("sha256:")).exists()


@pytest.mark.parametrize("name", ["../escaped", "/etc/turnout/node.env", "a/../../b", "./a"])
def test_a_list_that_leads_out_of_its_folder_is_refused(machine: Machine, name: str) -> None:
    listed = f"{sha256(b'x').removeprefix('sha256:')}  {name}\n".encode()
    machine.put({"llm/1/SHA256SUMS": listed})
    said = serve(machine, machine.release("s3://models/llm/1/", sha256(listed)), 3)
    assert f"refused: s3://models/llm/1/SHA256SUMS lists {name}" in said


def test_a_model_that_is_not_there_yet_is_tried_again_later(machine: Machine) -> None:
    machine.put({})
    serve(machine, machine.release("s3://models/llm/none", sha256(b"x")), 1)
    assert not (machine.run_folder / "refused").exists()


def test_a_model_from_elsewhere_is_refused(machine: Machine) -> None:
    assert "a node fetches s3:// and https:// only" in serve(machine, machine.release("ftp://host/x"), 3)


def test_flags_and_environment_reach_the_server_as_they_are(machine: Machine) -> None:
    release = machine.release(flags=("--chat-template={{a}}", "--x=$HOME;`id`", "two words", "it's"))
    release["engine"]["env"] = {"SPACE": "a b", "QUOTE": 'it\'s "$X"'}
    said = serve(machine, release)
    assert "['--chat-template={{a}}', '--x=$HOME;`id`', 'two words', \"it's\"]" in said
    assert "'SPACE': 'a b'" in said
    assert """'QUOTE': 'it\\'s "$X"'""" in said
    assert json.loads((machine.root / "etc/turnout/release.json").read_text()) == release


def test_with_secrets_the_image_s_own_command_still_runs_and_reads_nothing(machine: Machine) -> None:
    machine.api("ssm").put_parameter(Name="/own", Value="$(id) 'q'\\", Type="SecureString", Overwrite=True)
    machine.image(PRINT, ("own command",))
    machine.install(machine.release(), secrets={"OWN": "ssm:/own"})
    done = machine.run("serve")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("['own command']")
    assert "'OWN': \"$(id) 'q'\\\\\"" in done.stdout
    assert machine.files_with(b"$(id)") == []


def test_a_secret_that_cannot_be_read_starts_nothing_and_is_tried_again(machine: Machine) -> None:
    said = serve(machine, machine.release(), 1, secrets={"HF_TOKEN": "ssm:/missing"})
    assert "secret HF_TOKEN cannot be read from ssm:/missing" in said
    assert machine.docker_calls("run") == []


def test_a_vault_knows_the_instance_by_its_identity_document(machine: Machine) -> None:
    vault = Vault()
    with serving(vault) as address:
        secrets = {"ONE": "vault:kv/svc#key", "TWO": "vault:secret/data/svc#key"}
        said = serve(machine, machine.release(), secrets=secrets, vault={"address": address, "role": "svc"})
    assert "'ONE': 'first'" in said
    assert "'TWO': 'second'" in said
    assert {(login["role"], login["pkcs7"]) for login in vault.logins} == {("svc", IDENTITY)}
    assert len({login["nonce"] for login in vault.logins}) == 1
    assert (machine.root / "var/lib/turnout/vault-nonce").stat().st_mode & 0o077 == 0


def test_efa_reaches_the_container(machine: Machine) -> None:
    serve(machine, machine.release(), efa=True)
    (run,) = machine.docker_calls("run")
    assert run[run.index("--ulimit") + 1] == "memlock=-1:-1"
    assert "--device" in run


def published(machine: Machine, metric: str) -> list[float]:
    now = datetime.now(UTC)
    points = machine.api("cloudwatch").get_metric_statistics(
        Namespace="Turnout",
        MetricName=metric,
        Dimensions=[{"Name": "AutoScalingGroupName", "Value": GROUP}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    return [value for point in points for value in (point["Sum"], point["SampleCount"])]


@pytest.fixture
def clean(machine: Machine) -> Machine:
    machine.api("cloudwatch")
    empty(machine.endpoint)
    machine.metadata.goes_to("InService")
    return machine


VLLM = """# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="a b"} 3.0
vllm:num_requests_waiting{engine="1",model_name="a b"} 4.0
vllm:num_requests_running{engine="0",model_name="a b"} 2.0
vllm:num_requests_running_total{engine="0"} 99.0
"""


@pytest.mark.parametrize(
    ("text", "pending", "running"),
    [
        (VLLM, [7, 1], [2, 1]),
        ("llamacpp:requests_deferred 5\nllamacpp:requests_processing 1\n", [5, 1], [1, 1]),
        ("turnout_requests_waiting 0\nturnout_requests_running 0 1700000000000\n", [0, 1], [0, 1]),
        ("turnout_requests_waiting NaN\nother 7\n", [], []),
        ("", [], []),
    ],
)
def test_what_is_known_is_published_and_nothing_else(
    clean: Machine, text: str, pending: list[float], running: list[float]
) -> None:
    with serving(Exposition(text), clean.port):
        clean.install(clean.release())
        assert clean.run("metrics").returncode == 0
    assert published(clean, "PendingRequests") == pending
    assert published(clean, "RunningRequests") == running
    assert published(clean, "GPUUtilization") == []


def test_the_gpus_load_is_their_mean(clean: Machine) -> None:
    clean.install(clean.release())
    assert clean.run("metrics", FAKE_GPUS="40\n100\n[N/A]").returncode == 0
    assert published(clean, "GPUUtilization") == [70, 1]
    assert published(clean, "PendingRequests") == []


def test_an_instance_of_the_warm_pool_publishes_nothing(clean: Machine) -> None:
    clean.metadata.goes_to("Warmed:Running")
    clean.install(clean.release())
    with serving(Exposition("turnout_requests_waiting 0\n"), clean.port):
        assert clean.run("metrics", FAKE_GPUS="0").returncode == 0
    assert published(clean, "PendingRequests") == []
    assert published(clean, "GPUUtilization") == []


def protections(machine: Machine) -> list[str]:
    return [call["ProtectedFromScaleIn"] for call in machine.scaling.of("SetInstanceProtection")]


def test_an_instance_is_protected_while_requests_run_and_says_so_once(clean: Machine) -> None:
    clean.install(clean.release(), protect_streams=True)
    server = Exposition("turnout_requests_running 1\n")
    with serving(server, clean.port):
        clean.run("metrics")
        clean.run("metrics")
        assert protections(clean) == ["true"]
        server.text = "turnout_requests_running 0\n"
        clean.run("metrics")
        assert protections(clean) == ["true", "false"]
    clean.run("metrics")
    assert protections(clean) == ["true", "false"], "a server that says nothing changes nothing"


def test_nobody_is_protected_unasked(clean: Machine) -> None:
    clean.install(clean.release())
    with serving(Exposition("turnout_requests_running 1\n"), clean.port):
        clean.run("metrics")
    assert protections(clean) == []


def test_programs_are_executable_and_units_start_them_on_every_boot(machine: Machine) -> None:
    machine.install(machine.release())
    for name in ("turnout", "turnout-lifecycle", "turnout-metrics"):
        unit = (machine.root / f"etc/systemd/system/{name}.service").read_text()
        (program,) = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
        assert (machine.root / program.lstrip("/")).stat().st_mode & 0o111
        assert "WantedBy=multi-user.target" in unit or name == "turnout-metrics"
    assert "WantedBy=timers.target" in Path(machine.root / "etc/systemd/system/turnout-metrics.timer").read_text()
