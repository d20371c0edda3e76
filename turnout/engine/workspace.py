"""A project on disk: Pulumi.yaml and the stacks' config files, which are edited without losing a comment."""

import io
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from turnout.engine.checkpoint import replace_file
from turnout.engine.config_values import (
    ConfigError,
    as_text,
    full_key,
    get_at,
    has_secure,
    is_secure,
    opened,
    parse_path,
    remove_at,
    set_at,
    typed,
)
from turnout.engine.crypto import Secrets

_EXTENSIONS = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Project:
    """What Pulumi.yaml says."""

    name: str
    file: Path
    main: Path
    stack_folder: Path
    refresh: bool
    """`options.refresh: always`."""
    schema: dict[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.file.parent

    def stack_file(self, stack: str) -> Path:
        """The stack's config file, which need not be there."""
        names = [self.stack_folder / f"Pulumi.{stack}{extension}" for extension in _EXTENSIONS]
        return next((path for path in names if path.exists()), names[0])


@dataclass(frozen=True)
class Value:
    """One config value as a program gets it. `object` is the structured value, where it is one."""

    text: str
    secret: bool
    object: Any = None


def load_project(start: Path) -> Project:
    """The project around a folder; `ConfigError` where there is none or its file cannot be used."""
    for folder in (start, *start.parents):
        for extension in _EXTENSIONS:
            if (file := folder / f"Pulumi{extension}").exists():
                return _project(file)
    raise ConfigError(f"no Pulumi.yaml project file found in {start} or above it: run this inside a project")


def _project(file: Path) -> Project:
    data = _parse(file)
    if not isinstance(data.get("name"), str):
        raise ConfigError(f"{file}: name is missing: give the project a name")
    runtime = data.get("runtime")
    language = runtime.get("name") if isinstance(runtime, dict) else runtime
    if language != "python":
        raise ConfigError(f"{file}: runtime is {language!r}: the local engine runs python only")
    schema = data.get("config") or {}
    if not isinstance(schema, dict):
        raise ConfigError(f"{file}: config must be a map; the stacks' folder is called stackConfigDir")
    return Project(
        name=data["name"],
        file=file,
        main=(file.parent / (data.get("main") or ".")).resolve(),
        stack_folder=(file.parent / (data.get("stackConfigDir") or ".")).resolve(),
        refresh=(data.get("options") or {}).get("refresh") == "always",
        schema={full_key(str(key), data["name"]): entry for key, entry in schema.items()},
    )


class StackFile:
    """A stack's config file. Changes are kept in memory until `save`."""

    def __init__(self, path: Path, project: Project) -> None:
        self.path = path
        self._project = project
        self._data: MutableMapping[str, Any] = _parse(path) if path.exists() else {}
        if not isinstance(self._data.get("config") or {}, MutableMapping):
            raise ConfigError(f"{path}: config must be a map of keys")

    @property
    def salt(self) -> str:
        return str(self._data.get("encryptionsalt") or "")

    def get(self, key: str, path: bool, secrets: Secrets) -> Value:
        """One value; `KeyError` where there is none. Defaults of Pulumi.yaml count."""
        name, below = parse_path(key, self._project.name) if path else (full_key(key, self._project.name), [])
        return _value(get_at(self._merged()[name], below, key), secrets)

    def values(self, secrets: Secrets) -> dict[str, Value]:
        """Every value, secrets decrypted."""
        return {name: _value(value, secrets) for name, value in self._merged().items()}

    def masked(self) -> dict[str, Value]:
        """Every value, secrets as "[secret]": needs no passphrase."""
        return {
            name: _value(opened(value, lambda text: "[secret]"), None, secret=has_secure(value))
            for name, value in self._merged().items()
        }

    def encrypted(self) -> dict[str, str]:
        """What is encrypted, by the key that holds it, as text."""
        return {name: repr(value) for name, value in self._merged().items() if has_secure(value)}

    def set(self, key: str, text: str, *, path: bool, secret: bool, secrets: Secrets) -> None:
        """Sets a value; a secret one is encrypted."""
        name, below = parse_path(key, self._project.name) if path else (full_key(key, self._project.name), [])
        value: Any = typed(text) if below else text
        if secret:
            value = {"secure": secrets.encrypt(text)}
            self._keep_salt(secrets.salt)
        config = self._data.get("config")
        if config is None:
            config = self._data["config"] = {}
        found = next((held for held in config if full_key(str(held), self._project.name) == name), name)
        set_at(config, found, below, value)

    def remove(self, key: str, *, path: bool) -> None:
        """Removes a value; one that is not there is no error."""
        name, below = parse_path(key, self._project.name) if path else (full_key(key, self._project.name), [])
        config = self._data.get("config") or {}
        found = next((held for held in config if full_key(str(held), self._project.name) == name), name)
        remove_at(config, found, below)

    def save(self) -> None:
        """Writes the file, comments and order kept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.StringIO()
        _yaml().dump(self._data, buffer)
        mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o644
        replace_file(self.path, buffer.getvalue().encode())
        self.path.chmod(mode)

    def faults(self, stack: str) -> list[str]:
        """What the schema of Pulumi.yaml finds wrong, in Pulumi's words."""
        found = []
        merged = self._merged()
        for name, entry in self._project.schema.items():
            wanted = entry.get("type") if isinstance(entry, dict) else None
            if wanted is None:
                continue
            if name not in merged:
                found.append(f"Stack {stack!r} is missing configuration value {name!r}: set it with `config set {name}`")
            elif not is_secure(merged[name]) and not _fits(merged[name], wanted):
                found.append(f"Stack {stack!r} with configuration key {name!r} must be of type {wanted!r}")
        return found

    def _merged(self) -> dict[str, Any]:
        merged = {}
        for name, entry in self._project.schema.items():
            if not isinstance(entry, dict):
                merged[name] = entry
            elif "value" in entry or "default" in entry:
                merged[name] = entry.get("value", entry.get("default"))
        config = self._data.get("config") or {}
        return {**merged, **{full_key(str(key), self._project.name): value for key, value in config.items()}}

    def _keep_salt(self, salt: str) -> None:
        if self.salt != salt:
            self._data["encryptionsalt"] = salt


def _fits(value: Any, wanted: str) -> bool:
    if value is None:
        return True
    if wanted == "string":
        return isinstance(value, str)
    if wanted == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if wanted == "integer":
        return (isinstance(value, int) and not isinstance(value, bool)) or isinstance(typed(str(value)), int)
    if wanted == "array":
        return isinstance(value, list)
    if wanted == "object":
        return isinstance(value, dict)
    raise ConfigError(f"Pulumi.yaml: config type {wanted!r} is not known: use string, integer, boolean, array or object")


def _value(value: Any, secrets: Secrets | None, secret: bool | None = None) -> Value:
    plain = opened(value, secrets.decrypt) if secrets is not None else value
    structured = plain if isinstance(plain, dict | list) else None
    return Value(as_text(plain), has_secure(value) if secret is None else secret, structured)


def _parse(path: Path) -> MutableMapping[str, Any]:
    try:
        data = _yaml().load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror})") from None
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where} is no YAML: {getattr(error, 'problem', None) or error}") from None
    if data is None:
        return {}
    if not isinstance(data, MutableMapping):
        raise ConfigError(f"{path}: must be a map of keys")
    return data


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
