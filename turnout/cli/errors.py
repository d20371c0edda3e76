"""Exit codes, and the words for what can go wrong: what, where, what to do, never a traceback."""

from enum import IntEnum


class Exit(IntEnum):
    """What the command's exit code says (docs/cli.md)."""

    OK = 0
    FAILED = 1
    REFUSED = 2
    SWITCH = 3
    NO_CLOUD = 4
    TAKEN_BACK = 5
    INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 done; 1 failed; 2 refused before anything was touched (config, usage); "
    "3 refused by the switch (gate, floor, claim, unstable release); 4 the cloud is not running or cannot be reached; "
    "5 the rollout was taken back; 130 interrupted."
)


class CommandFailed(Exception):
    """A command ends with this code; `str(error)` is what the operator reads."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def explain(error: BaseException) -> tuple[Exit, str]:
    """Exit code and message for an error.

    Looks at names and not at classes: to explain an error nothing needs to be imported that did not raise it."""
    if isinstance(error, CommandFailed):
        return error.code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED, "interrupted; run the command again, or look with `turnout status`"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    for names, code in _BY_NAME:
        if kinds & names:
            return code, str(error)
    if "EndpointConnectionError" in kinds or "ConnectTimeoutError" in kinds or "ConnectionClosedError" in kinds:
        fix = "is the local cloud running (`turnout local status`), can AWS be reached from here?"
        return Exit.NO_CLOUD, f"{str(error).rstrip('.')}: {fix}"
    if "MetricsUnavailable" in kinds:
        return Exit.FAILED, f"{error}\nwhat cannot be measured is not rolled out, nothing was begun: try again when it answers"
    if "NoCredentialsError" in kinds:
        return Exit.REFUSED, f"AWS: {error}; set AWS_PROFILE or AWS_ACCESS_KEY_ID, or log in with your SSO"
    if "BotoCoreError" in kinds or "ClientError" in kinds:
        return Exit.FAILED, f"AWS: {error}"
    return Exit.FAILED, _defect(error)


def _defect(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "unknown place"
    return (
        f"{type(error).__name__}: {error}\nat {where}; this is a defect of Turnout. "
        "TURNOUT_DEBUG=1 shows the whole trace; please report it"
    )


_BY_NAME: tuple[tuple[frozenset[str], Exit], ...] = (
    (frozenset({"StackError", "DeployError", "ReleaseError", "ArtifactError", "TableMissing"}), Exit.REFUSED),
    (frozenset({"ImageError", "SmokeSetError", "BuildError", "RegistryError"}), Exit.REFUSED),
    (frozenset({"DemoRunning", "NoRollout", "NoCandidate", "RevisionError", "ConfigError"}), Exit.REFUSED),
    (frozenset({"SwitchRefused"}), Exit.SWITCH),
    (frozenset({"CloudUnreachable", "Unreachable"}), Exit.NO_CLOUD),
    (frozenset({"RecordError", "CloudError", "ClusterError", "PlanFailed"}), Exit.FAILED),
)
