"""User data as text: what is read back from it, how big it is, and what shellcheck says of every script in it."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnout_components import checks, node_scripts
from turnout_components.user_data import LAUNCH_HOOK, NODE, TERMINATE_HOOK, document, read_release, render, unpacked

SHELLCHECK = Path(sys.executable).parent / "shellcheck"
SCRIPTS = Path(node_scripts.__file__).parent / "node"
RELEASE: dict[str, Any] = {
    "name": "assistant-8b-1.1.0",
    "digest": "sha256:" + "cd" * 32,
    "model": {"name": "a", "version": "1", "uri": "s3://example-models/assistant/1/", "sha256": "sha256:" + "ab" * 32},
    "image": "vllm/vllm-openai@sha256:" + "12" * 32,
    "engine": {"name": "vllm", "flags": ["--model=/model"], "env": {"A": "b"}},
}
HOOKS = {"launch": LAUNCH_HOOK, "terminate": TERMINATE_HOOK}


def rendered(release: dict[str, Any] = RELEASE, **options: Any) -> str:
    return render("svc", "green", release, 8000, 30, region="us-east-1", group="g", hooks=HOOKS, **options)


def shellcheck(*args: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SHELLCHECK, *args], input=text, capture_output=True, text=True, check=False)


def test_every_script_is_clean_to_shellcheck() -> None:
    scripts = sorted(SCRIPTS.glob("*.sh"))
    assert len(scripts) == 8
    done = shellcheck("--external-sources", f"--source-path={SCRIPTS}", *map(str, scripts))
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_user_data_itself_is_clean_to_shellcheck() -> None:
    done = shellcheck("-", text=rendered())
    assert (done.stdout, done.returncode) == ("", 0)


def test_shellcheck_sees_a_fault() -> None:
    assert shellcheck("-", text="#!/bin/bash\nrm -rf $1/x\n").returncode == 1


def test_the_document_has_what_is_said_and_defaults_for_the_rest() -> None:
    assert read_release(render("svc", "green", RELEASE, 8000, 30)) == {
        "service": "svc",
        "environment": "green",
        "region": "",
        "group": "",
        "log_group": "/turnout/svc/green",
        "port": 8000,
        "drain": 30,
        "health": "/ready",
        "launch_timeout": 1800,
        "release": RELEASE,
        "secrets": {},
        "hooks": {},
        "boot": {},
    }
    node = read_release(rendered(protect_streams=True, boot={"machine": 1.5}, secrets={"A": "ssm:/a"}))
    assert node is not None
    assert (node["protect_streams"], node["boot"], node["hooks"], node["secrets"]) == (
        True,
        {"machine": 1.5},
        HOOKS,
        {"A": "ssm:/a"},
    )


@pytest.mark.parametrize("text", ["", "#!/bin/bash\necho hello\n", "TURNOUT"])
def test_another_s_user_data_is_left_alone(text: str) -> None:
    assert read_release(text) is None


def test_user_data_of_a_launch_template_is_unpacked_into_its_files_and_another_s_is_not() -> None:
    encoded = base64.b64encode(rendered().encode()).decode()
    files = unpacked(encoded)
    assert files is not None
    assert json.loads(files[NODE])["release"] == RELEASE
    assert "/usr/local/bin/turnout-serve" in files
    for other in ("", "[unknown]", base64.b64encode(b"#!/bin/bash\n").decode(), encoded[:2000]):
        assert unpacked(other) is None


ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:assistant/green/"
SECRETS = {f"SECRET_{n}": f"{ARN}{n}-AbCdEf" for n in range(20)}
LARGE = {
    **RELEASE,
    "engine": {**RELEASE["engine"], "flags": [f"--flag-number-{n}=value-{n}" for n in range(40)]},
    "adapters": [f"s3://m/adapter-{n}" for n in range(10)],
}


def test_a_large_release_with_many_secrets_fits_an_instance() -> None:
    script = rendered(LARGE, secrets=SECRETS)
    assert checks.user_data_size(script) == []
    assert len(rendered()) < 9_500


def test_it_fits_with_a_mirror_too() -> None:
    mirror = {
        "image": f"123456789012.dkr.ecr.us-east-1.amazonaws.com/envoyproxy/envoy@sha256:{'ef' * 32}",
        "port": 1,
        "admin": 2,
    }
    script = rendered(LARGE, secrets=SECRETS, mirror=mirror)
    assert checks.user_data_size(script) == []
    assert "mirror" not in str(node_scripts.files(document("svc", "green", RELEASE, 8000, 30)).keys())


def test_the_same_input_gives_the_same_bytes() -> None:
    assert rendered() == rendered(json.loads(json.dumps(RELEASE)))


@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=3),
    st.dictionaries(st.from_regex(r"[A-Z]{1,5}", fullmatch=True), st.text("ab '\"$`\\;\n=é"), max_size=3),
)
def test_bash_reads_every_value_as_it_is(flags: list[str], env: dict[str, str]) -> None:
    release = {**RELEASE, "engine": {"name": "x", "flags": flags, "env": env}}
    text = node_scripts.environment(document("svc", "green", release, 8000, 30))
    code = text + 'printf "%s\\0" "${FLAGS[@]}" "${ENGINE_ENV[@]}"'
    done = subprocess.run(["bash", "-c", code], capture_output=True, check=True)
    expected = [*flags, *(f"--env={name}={value}" for name, value in sorted(env.items()))]
    assert done.stdout.decode() == "".join(f"{value}\0" for value in expected or [""])
