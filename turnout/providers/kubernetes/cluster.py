"""An API server on this machine, reached as a provider's configuration says. Any other address is refused.

Answers are plain JSON; failures become `ApiError`, what is not there `Absent`.
"""

import json
import threading
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import yaml

from turnout.engine.provider import ProviderConfig, ProviderError
from turnout.providers.kubernetes.errors import Absent, refused
from turnout.providers.kubernetes.tokens import Kind
from turnout.providers.kubernetes.waiting import Clock

if TYPE_CHECKING:
    import httpx2

OPTIONS = frozenset({"kubeconfig", "context", "cluster", "namespace", "enablePatchForce", "upsertExistingObjects"})
"""What a provider may say (`pulumi_kubernetes.Provider`), and is heeded."""
WITHOUT_EFFECT = frozenset({"clusterIdentifier", "suppressDeprecationWarnings", "suppressHelmHookWarnings", "version"})
"""What it may say and changes nothing here: a provider is never replaced, and no such warning is printed."""
ONLY_TRUE = frozenset({"enableServerSideApply"})
APPLY, JSON, JSON_PATCH = "application/apply-patch+yaml", "application/json", "application/json-patch+json"
_DEFAULT_NAMESPACE = "default"
_TIMEOUT = 30.0
"""Seconds of one call."""
_BUSY_TRIES = 6
"""An API server that has too much to do says when to come again ("API Priority and Fairness", Kubernetes)."""

_lock = threading.Lock()
_clusters: dict[str, "Cluster"] = {}


def refuse_options(inputs: Mapping[str, Any]) -> None:
    """Raises `ValueError` for an option that the local engine lacks, by its name."""
    known = OPTIONS | WITHOUT_EFFECT | ONLY_TRUE
    lacking = [name for name, value in sorted(inputs.items()) if value is not None and name not in known]
    lacking += [f"{name}=False" for name in sorted(ONLY_TRUE) if inputs.get(name) is False]
    if lacking:
        raise ValueError(f"provider kubernetes: {', '.join(lacking)}: not supported by the local engine")


def cluster(config: ProviderConfig) -> "Cluster":
    """The API server of a provider's configuration, one client for each.

    Raises `ProviderError` for one that is not on this machine, and for a kubeconfig that cannot be used."""
    try:
        refuse_options(config.inputs)
    except ValueError as error:
        raise ProviderError(str(error)) from None
    text, folder = _kubeconfig(config.inputs.get("kubeconfig"))
    chosen = (config.inputs.get("context"), config.inputs.get("cluster"))
    key = sha256(repr((text, str(folder), chosen)).encode()).hexdigest()
    with _lock:
        if key not in _clusters:
            _clusters[key] = _connected(text, folder, *chosen)
        return _clusters[key]


def _kubeconfig(given: Any) -> tuple[str, Path | None]:
    """A kubeconfig's text, and its path where it is a file."""
    if isinstance(given, Mapping):
        return json.dumps(given), None
    if not isinstance(given, str) or not given.strip():
        raise ProviderError(
            "provider kubernetes: no kubeconfig; the local engine needs an explicit provider with kubeconfig= the path or the "
            "text of one (it never takes the one of your shell)"
        )
    if "\n" in given or given.lstrip().startswith("{"):
        return given, None
    path = Path(given).expanduser()
    try:
        return path.read_text(), path
    except OSError as error:
        raise ProviderError(f"provider kubernetes: kubeconfig {given} cannot be read ({error.strerror})") from None


def _connected(text: str, path: Path | None, context: Any, name: Any) -> "Cluster":
    from lightkube.config.client_adapter import Client, ConnectionParams
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.config.models import User
    from lightkube.core.exceptions import ConfigError

    try:
        known = KubeConfig.from_dict(yaml.safe_load(text), fname=path)
        chosen = known.get(context or None)
        assert chosen is not None  # `get` gives None only where a default None is asked for
        chosen = chosen._replace(cluster=known.clusters[name]) if name else chosen
        refuse_beyond_this_machine(chosen.cluster.server)
        chosen = chosen._replace(user=chosen.user or User())
        params = ConnectionParams(timeout=_timeout(), trust_env=False)
        return Cluster(Client(chosen, params), chosen.namespace or _DEFAULT_NAMESPACE)
    except ConfigError as error:
        raise ProviderError(f"provider kubernetes: kubeconfig: {error}") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise ProviderError(
            f"provider kubernetes: the kubeconfig is none that can be used ({type(error).__name__}: {error})"
        ) from None


def _timeout() -> "httpx2.Timeout":
    import httpx2

    return httpx2.Timeout(_TIMEOUT)


def refuse_beyond_this_machine(server: str) -> None:
    """Raises `ProviderError` for an API server that is not on a loopback address."""
    host = urlsplit(server).hostname or ""
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise ProviderError(
            f"provider kubernetes: the API server {server} is not on this machine; the local engine never calls anything else "
            "(use Pulumi for a real cluster)"
        )


class Cluster:
    """One API server. `client` is an httpx2 client with its address and its credentials; threads may share it."""

    def __init__(self, client: "httpx2.Client", namespace: str, clock: Clock | None = None) -> None:
        self._client, self._clock = client, clock or Clock()
        self.namespace = namespace
        """Where an object goes that names none: the context's."""
        self._kinds: dict[tuple[str, str], dict[str, Any]] = {}

    def get(self, path: str, subject: str, **query: str) -> dict[str, Any]:
        """One object, or a list."""
        return self.call("GET", path, subject, query=query)

    def call(
        self,
        method: str,
        path: str,
        subject: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        kind: str = JSON,
    ) -> dict[str, Any]:
        """One call. `subject` says in messages what was asked of which object. Raises `ProviderError`."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} if content is not None else {}
        for left in reversed(range(_BUSY_TRIES)):
            code, told = self._answer(subject, method, path, dict(query or {}), content, headers)
            if code < 300:
                return told
            if code != 429 or not left:
                break
            self._clock.sleep(float((told.get("details") or {}).get("retryAfterSeconds", 1)))
        raise refused(code, told, subject)

    def _answer(
        self, subject: str, method: str, path: str, query: dict[str, str], content: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        import httpx2

        try:
            answer = self._client.request(method, path, params=query, content=content, headers=headers)
        except httpx2.HTTPError as error:
            away = f"the API server {str(self._client.base_url).rstrip('/')} does not answer"
            raise ProviderError(f"{subject}: {away} ({str(error) or type(error).__name__})") from None
        try:
            told = answer.json() if answer.content else {}
        except ValueError:
            told = {"message": answer.text}
        return answer.status_code, told if isinstance(told, dict) else {}

    def path_of(self, kind: Kind, namespace: str | None, name: str | None = None) -> str:
        """Where objects of a kind are served, or one of them. Raises `Absent` for a kind that the API server does not know."""
        found = self.discovered(kind)
        within = f"/namespaces/{quote(namespace)}" if found["namespaced"] and namespace else ""
        one = f"/{quote(name, safe='')}" if name is not None else ""
        return f"{kind.path}{within}/{found['name']}{one}"

    def is_namespaced(self, kind: Kind) -> bool:
        """Raises `Absent` for a kind that the API server does not know."""
        return bool(self.discovered(kind)["namespaced"])

    def discovered(self, kind: Kind) -> dict[str, Any]:
        """What the API server says about a kind: `name` (its plural), `namespaced`. Asked once for each that it knows."""
        key = (kind.api_version, kind.name)
        if key not in self._kinds:
            subject = f"{kind.api_version} {kind.name}"
            try:
                resources = self.get(kind.path, subject).get("resources") or []
            except Absent:
                resources = []
            for found in resources:
                if "/" not in found["name"]:
                    self._kinds[kind.api_version, found["kind"]] = found
        if key not in self._kinds:
            raise Absent(
                f"{kind.api_version} {kind.name}: the API server does not know this kind; install its "
                "CustomResourceDefinition first",
                "kind",
            )
        return self._kinds[key]
