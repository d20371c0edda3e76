"""What no component uses is refused by its name and never dropped in silence: options, resource options, calls."""

from pathlib import Path

import pytest
from pulumi.automation import errors
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from tests.engine_state.bench import Project
from turnout.engine import monitor
from turnout.engine.arguments import COMMANDS

UPDATES = ("up", "preview", "refresh", "destroy")
REFUSED = {
    # Pulumi's pages "pulumi up", "pulumi preview", "pulumi refresh" and "pulumi destroy" (CLI commands), and the flags of
    # pkg/cmd/pulumi/operations that these hide; what is here for one command is refused by all four.
    "--attach-debugger", "--clear-pending-creates", "--config", "--config-path", "--continue-on-error", "--copilot",
    "--cwd", "--debug", "--disable-integrity-checking", "--emoji", "--exclude", "--exclude-dependents", "--exclude-protected",
    "--exec-agent", "--fully-qualify-stack-names", "--import-file", "--import-pending-creates", "--json", "--logflow",
    "--logtostderr", "--memprofilerate", "--neo", "--otel-traces", "--output", "--override-env", "--plan", "--profiling",
    "--remote", "--remove", "--replace", "--run-program", "--save-plan", "--secrets-provider", "--show-config",
    "--show-full-output", "--show-policy-remediations", "--show-reads", "--show-replacement-steps", "--show-sames",
    "--show-secrets", "--skip-config-validation", "--skip-pending-creates", "--skip-plugin-pre-install", "--strict",
    "--suppress-permalink", "--target", "--target-dependents", "--target-replace", "--tracing", "--tracing-header",
    "--urns", "--verbose",
}  # fmt: skip
SHORT = {
    "-t": "--target",
    "-x": "--exclude",
    "-c": "--config",
    "-d": "--debug",
    "-C": "--cwd",
    "-j": "--json",
    "-v": "--verbose",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("project"))
    made.program('Thing("one", opts=on())')
    made.stack()
    return made


@pytest.mark.parametrize("command", UPDATES)
def test_every_option_that_is_not_supported_is_refused_by_its_name(command: str, project: Project) -> None:
    for option in REFUSED:
        with pytest.raises(
            errors.CommandError, match=rf"option {option} of `{command}` is not supported by the local engine \(not"
        ):
            project.run(command, "--yes", "--stack", "dev", option)
    for short, option in SHORT.items():
        with pytest.raises(errors.CommandError, match=rf"option {option} of `{command}`"):
            project.run(command, "--yes", "--stack", "dev", short)
    assert project.cloud.objects() == {}


def test_no_option_is_both_supported_and_listed_as_refused() -> None:
    assert not {(command, option) for command in UPDATES for option in REFUSED & COMMANDS[command].keys()}


@pytest.mark.parametrize(
    "command",
    ["about", "console", "convert", "import", "install", "login", "logs", "new", "plugin", "policy", "schema", "state", "watch",
     "stack change-secrets-provider", "stack graph", "stack rename", "stack tag", "stack unselect", "config cp", "config env"],
)  # fmt: skip
def test_every_other_command_is_refused_by_its_name(command: str, project: Project) -> None:
    with pytest.raises(errors.CommandError, match=f"unknown command '{command}'"):
        project.run(*command.split())


RESOURCE_OPTIONS = [
    ('import_="x"', "import"),
    ("deleted_with=cloud", "DeletedWith"),
    ("replace_with=[cloud]", "ReplaceWith"),
    ("replacement_trigger=1", "replacement_trigger"),
    ("transforms=[lambda args: None]", "transforms"),
    ("hide_diffs=['size']", "hide_diffs"),
    ("plugin_download_url='https://example.com'", "plugin_download_url"),
    ("hooks=pulumi.ResourceHookBinding(after_delete=[pulumi.ResourceHook('h', lambda a: None)])", "after_delete"),
    ("id='x'", "reading an existing test:index:Thing"),
]
CALLS = [
    ('pulumi.StackReference("organization/shop/other")', "stack references"),
    ('pulumi.runtime.register_stack_transform(lambda args: None)', "transforms"),
    ('pulumi.runtime.register_invoke_transform(lambda args: None)', "transforms"),
    ('pulumi.runtime.call("test:index:Thing/method", {}, cloud)', "method test:index:Thing/method"),
    ('pulumi.runtime.invoke("test:index:find", {})', "function test:index:find"),
    ('Thing("a", token="other:index:Thing", opts=on())', "resource type other:index:Thing"),
    ('Thing("a", tags={"file": pulumi.FileAsset("x")}, opts=on())', "assets and archives"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "named"), [*((f'Thing("a", opts=on({o}))', named) for o, named in RESOURCE_OPTIONS), *CALLS])
def test_what_a_program_uses_and_nobody_supports_is_named(body: str, named: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.program(body)

    with pytest.raises(errors.CommandError) as caught:
        project.stack().up()

    said = str(caught.value)
    assert named in said
    assert "not supported" in said
    assert "Traceback" not in said
    assert project.cloud.objects() == {}


TAKEN = {
    "type", "name", "parent", "custom", "object", "protect", "dependencies", "provider", "propertyDependencies",
    "deleteBeforeReplace", "deleteBeforeReplaceDefined", "ignoreChanges", "additionalSecretOutputs", "aliasURNs", "aliases",
    "customTimeouts", "replaceOnChanges", "retainOnDelete", "hooks",
}  # fmt: skip
WITHOUT_EFFECT = {
    "version",  # of the provider's plugin: there are no plugins
    "providers",  # of a component that is made elsewhere; our children say theirs
    "acceptSecrets", "acceptResources", "supportsPartialValues", "supportsResultReporting", "aliasSpecs",
    "accepts_byte_string",  # what the SDK can take
    "sourcePosition", "stackTrace", "parentStackTraceHandle",  # for messages of Pulumi's own
}  # fmt: skip


def test_every_field_of_a_registration_is_taken_refused_or_known_to_have_no_effect() -> None:
    """A newer SDK's option must not be dropped in silence."""
    known = TAKEN | WITHOUT_EFFECT | monitor._REFUSED.keys()
    assert {field.name for field in resource_pb2.RegisterResourceRequest.DESCRIPTOR.fields} == known


def test_every_call_of_the_monitor_is_answered() -> None:
    calls = {method.name for method in resource_pb2.DESCRIPTOR.services_by_name["ResourceMonitor"].methods}
    parents = vars(resource_pb2_grpc.ResourceMonitorServicer)
    assert {name for name in calls if getattr(monitor.Monitor, name) is parents[name]} == set()
