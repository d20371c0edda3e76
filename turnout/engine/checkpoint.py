"""A stack's state as a file: Pulumi's deployment-v3, the JSON that `pulumi stack export` writes and `import` reads.

Source: pulumi/pulumi, sdk/go/common/apitype/core.go (`DeploymentV3`, `ResourceV3`), pkg/resource/stack/deployment.go.
"""

import errno
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from turnout.engine.crypto import Secrets, SecretsError
from turnout.engine.state import PendingOperation, ResourceState, Snapshot, provider_urn
from turnout.engine.values import UNKNOWN, Secret
from turnout.engine.wire import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN_TEXT

SCHEMA_VERSION = 3

_PENDING_TYPES = {
    "create": "creating",
    "create-replacement": "creating",
    "update": "updating",
    "delete": "deleting",
    "delete-replaced": "deleting",
    "read": "reading",
    "import": "importing",
}
_PLAIN_FIELDS = (
    # (key in the file, attribute); absent from the file where the attribute is empty
    ("parent", "parent"),
    ("provider", "provider"),
    ("dependencies", "dependencies"),
    ("propertyDependencies", "property_dependencies"),
    ("protect", "protect"),
    ("external", "external"),
    ("retainOnDelete", "retain_on_delete"),
    ("deletedWith", "deleted_with"),
    ("replaceWith", "replace_with"),
    ("delete", "delete"),
    ("aliases", "aliases"),
    ("additionalSecretOutputs", "additional_secret_outputs"),
    ("ignoreChanges", "ignore_changes"),
    ("customTimeouts", "custom_timeouts"),
    ("importID", "import_id"),
    ("initErrors", "init_errors"),
    ("resourceHooks", "hooks"),
)


class CheckpointError(Exception):
    """A state file cannot be used; the message names the file and the way out."""


class NotWritten(CheckpointError):
    """A state file cannot be written: a full disk, no right to it."""


def encode_value(value: Any, secrets: Secrets) -> Any:
    """A property value as JSON, secrets encrypted."""
    if isinstance(value, Secret):
        plain = json.dumps(encode_value(value.value, secrets), separators=(",", ":"), allow_nan=False)
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": secrets.encrypt(plain)}
    if value is UNKNOWN:
        return UNKNOWN_TEXT
    if isinstance(value, dict):
        return {key: encode_value(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode_value(item, secrets) for item in value]
    return value


def decode_value(value: Any, secrets: Secrets) -> Any:
    """The property value that `encode_value`, or `pulumi stack export --show-secrets`, wrote."""
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            plain = value["plaintext"] if "plaintext" in value else secrets.decrypt(value["ciphertext"])
            return Secret(decode_value(json.loads(plain), secrets))
        return {key: decode_value(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [decode_value(item, secrets) for item in value]
    return UNKNOWN if value == UNKNOWN_TEXT else value


def encode_resource(state: ResourceState, secrets: Secrets) -> dict[str, Any]:
    """A resource as a `ResourceV3`."""
    data: dict[str, Any] = {"urn": state.urn, "custom": state.custom, "type": state.type}
    if state.id:
        data["id"] = state.id
    data["inputs"] = encode_value(state.inputs, secrets)
    data["outputs"] = encode_value(state.outputs, secrets)
    for key, attribute in _PLAIN_FIELDS:
        if value := getattr(state, attribute):
            data[key] = value
    for key, moment in (("created", state.created), ("modified", state.modified)):
        if moment is not None:
            data[key] = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return data


def decode_resource(data: dict[str, Any], secrets: Secrets) -> ResourceState:
    """The resource that a `ResourceV3` describes."""
    state = ResourceState(
        urn=data["urn"],
        type=data["type"],
        custom=bool(data.get("custom", False)),
        id=data.get("id", ""),
        inputs=decode_value(data.get("inputs") or {}, secrets),
        outputs=decode_value(data.get("outputs") or {}, secrets),
        created=_moment(data.get("created")),
        modified=_moment(data.get("modified")),
    )
    for key, attribute in _PLAIN_FIELDS:
        if data.get(key):
            setattr(state, attribute, data[key])
    return state


def encode(snapshot: Snapshot, secrets: Secrets, now: datetime) -> dict[str, Any]:
    """The whole deployment. Refuses two live resources of one URN: that is a fault of the engine, not of the file."""
    live = Counter(state.urn for state in snapshot.resources if not state.delete)
    if twice := [urn for urn, count in live.items() if count > 1]:
        raise CheckpointError(f"two resources have the URN {min(twice)}: give one of them another name")
    resources = [encode_resource(state, secrets) for state in snapshot.ordered()]
    pending = [
        {
            "resource": encode_resource(operation.state, secrets),
            "type": _PENDING_TYPES[operation.operation],
            "operation": operation.operation,
            "token": operation.token,
        }
        for operation in snapshot.pending
    ]
    name = f"v{version('pulumi')}+turnout"
    deployment: dict[str, Any] = {
        "manifest": {
            "time": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "magic": magic(name),
            "version": name,
        }
    }
    if secrets.salt:
        deployment["secrets_providers"] = {"type": "passphrase", "state": {"salt": secrets.salt}}
    if resources:
        deployment["resources"] = resources
    if pending:
        deployment["pending_operations"] = pending
    deployment["metadata"] = {}
    return {"version": SCHEMA_VERSION, "deployment": deployment}


def magic(name: str) -> str:
    """The cookie that Pulumi expects beside the version `name` of the program that wrote the file."""
    return hashlib.sha256(name.encode()).hexdigest()


def decode(data: Any, secrets: Callable[[str], Secrets], source: str, fix: str = "") -> Snapshot:
    """The snapshot in a deployment. `secrets` gives the manager for the salt that the file names; `source` is the
    file's name in messages, `fix` what to do about a damaged one."""
    fix = fix or _FIX
    deployment = _checked(data, source, fix)
    try:
        manager = secrets(_salt(deployment))
        snapshot = Snapshot([decode_resource(item, manager) for item in deployment.get("resources") or []])
        for item in deployment.get("pending_operations") or []:
            state = decode_resource(item["resource"], manager)
            operation = item.get("operation") or _operation(item["type"])
            snapshot.pending.append(PendingOperation(operation, item.get("token", ""), state))
    except SecretsError as error:
        raise CheckpointError(f"{source}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{source} is damaged ({type(error).__name__}: {error}); {fix}") from None
    _verify(snapshot, source, fix)
    return snapshot


_FIX = "put the backup beside it (.bak) in its place, or import an export of the stack; it was left as it is"


def _checked(data: Any, source: str, fix: str) -> dict[str, Any]:
    if not isinstance(data, dict) or not isinstance(data.get("version"), int):
        raise CheckpointError(f"{source} is no Pulumi deployment (no version); {fix}")
    if data["version"] > SCHEMA_VERSION:
        raise CheckpointError(
            f"{source} has version {data['version']}, newer than {SCHEMA_VERSION}, the newest that this engine knows: "
            "use the newer Turnout or Pulumi that wrote it; it was left as it is"
        )
    if data["version"] < SCHEMA_VERSION:
        raise CheckpointError(
            f"{source} has version {data['version']}; export it again with a Pulumi of today (version {SCHEMA_VERSION})"
        )
    deployment = data.get("deployment")
    if not isinstance(deployment, dict):
        raise CheckpointError(f"{source} is damaged (no deployment); {fix}")
    manifest = deployment.get("manifest")
    if not isinstance(manifest, dict) or manifest.get("magic") != magic(str(manifest.get("version", ""))):
        raise CheckpointError(f"{source} is damaged (its magic does not fit its version); {fix}")
    return deployment


def _salt(deployment: dict[str, Any]) -> str:
    provider = deployment.get("secrets_providers") or {}
    kind = provider.get("type", "")
    if kind not in ("", "passphrase"):
        raise SecretsError(
            f"its secrets are kept by {kind!r}; this engine knows only passphrase: export it with --show-secrets"
        )
    return str((provider.get("state") or {}).get("salt", "")) if kind else ""


def _operation(kind: str) -> str:
    return next(operation for operation, name in _PENDING_TYPES.items() if name == kind)


def _verify(snapshot: Snapshot, source: str, fix: str) -> None:
    """No URN twice among the live, and nothing before its parent or provider (Pulumi's `VerifyIntegrity`)."""
    to_come = Counter(state.urn for state in snapshot.resources)
    live: set[str] = set()
    for state in snapshot.resources:
        if not state.delete and state.urn in live:
            raise CheckpointError(f"{source} is damaged ({state.urn} stands in it twice); {fix}")
        if not state.delete:
            live.add(state.urn)
        for urn in (state.parent, provider_urn(state.provider)):
            if urn != state.urn and to_come[urn] and urn not in live:
                raise CheckpointError(f"{source} is damaged ({state.urn} comes before {urn}); {fix}")
        to_come[state.urn] -= 1


def refuse_dangling(snapshot: Snapshot, source: str, fix: str) -> None:
    """Raises `CheckpointError` where a resource names one that is not there (Pulumi's `VerifyIntegrity`): a file was edited."""
    there = {state.urn for state in snapshot.resources}
    for state in snapshot.resources:
        if lacking := sorted(state.needs() - there):
            raise CheckpointError(f"{source} is damaged ({state.urn} needs {lacking[0]}, which is not in it); {fix}")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def read(path: Path, fix: str = "") -> tuple[Any, bytes]:
    """A state file's JSON and its bytes."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); give yourself access to it") from None
    try:
        return json.loads(raw), raw
    except ValueError:
        state = "empty" if not raw.strip() else "truncated or damaged (no JSON)"
        raise CheckpointError(f"{path} is {state}; {fix or _FIX}") from None


def write(path: Path, data: Any) -> bytes:
    """Writes a state file whole or not at all; the one before it stays as `<name>.bak`. Returns the bytes."""
    raw = (json.dumps(data, indent=4, allow_nan=False) + "\n").encode()
    if path.exists():
        replace_file(path.with_name(path.name + ".bak"), path.read_bytes())
    replace_file(path, raw)
    return raw


def replace_file(path: Path, raw: bytes) -> None:
    """Atomic and durable: a temporary file, fsync, rename, fsync of the folder. Readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise not_written(path, error) from None


def not_written(path: Path, error: OSError) -> "NotWritten":
    """What to say where a file of the state cannot be written."""
    fix = "make room there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "give yourself the right to write there"
    return NotWritten(
        f"{path} cannot be written ({error.strerror}): {fix} and run the command again; what was there is whole, and what was "
        "under way is looked for in the cloud"
    )


def sync_folder(path: Path) -> None:
    """Makes names in a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
