"""Items in a Kubernetes cluster: a ConfigMap each in one namespace, and a Lease of the same name that tells who works on it.

The ConfigMap's resourceVersion is the condition of the next write ("Kubernetes API Concepts", resource versions: a write with
an older one is answered 409 Conflict). The Lease decides nothing: it is there for `kubectl get lease`.
"""

import base64
import hashlib
import re
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from turnout_components.cluster_api import Changed, ClusterApi, ClusterError, Object, Unreachable
from turnout_components.items import LARGE, Conflict, Holder, RecordError, TableMissing, unreadable

NAME_LIMIT = 253
"""Characters of a DNS subdomain name ("Object Names and IDs")."""
TRIES = 3
"""Of a write that got no answer."""
KEY = "turnout.dev/item"
"""Annotation with the item's id."""
LABELS = {"app.kubernetes.io/managed-by": "turnout"}
_OTHERS = re.compile(r"[^a-z0-9.-]+")


class ClusterItems:
    """`Items` of one namespace. A ConfigMap holds 1 MiB ("ConfigMaps")."""

    def __init__(self, api: ClusterApi, namespace: str) -> None:
        self._api = api
        self.table = namespace
        self._read: dict[str, tuple[int, str]] = {}
        """Generation and resourceVersion of each item as it was seen last."""
        self._free: set[str] = set()
        """Items whose Lease is known to have no holder."""

    def read(self, key: str) -> str | None:
        found = self._found(key)
        if found is None:
            return None
        try:
            if "packed" in found.get("binaryData", {}):
                return zlib.decompress(base64.b64decode(found["binaryData"]["packed"])).decode()
            return str(found["data"]["body"])
        except (KeyError, ValueError, zlib.error) as error:
            raise unreadable(self, key, "item", error) from None

    def write(self, key: str, body: str, generation: int, holder: Holder | None = None) -> None:
        wanted = self._object(key, body, generation)
        for attempt in range(1, TRIES + 1):
            try:
                self._put(key, wanted, generation)
                break
            except Changed:
                if self._stands(key, wanted):
                    break
                self._read.pop(key, None)
                raise Conflict(
                    "the switch record was written by somebody else in the meantime; run the command again"
                ) from None
            except Unreachable as error:
                if attempt == TRIES:
                    raise RecordError(f"the switch record may not be written: {error}") from error
            except ClusterError as error:
                raise self._translated(error) from error
        self._tell(key, holder)

    def _put(self, key: str, wanted: Object, generation: int) -> None:
        known = self._read.get(key)
        if generation and (known is None or known[0] != generation):
            self._found(key)
            known = self._read.get(key)
            if known is None or known[0] != generation:
                raise Changed(key)
        if generation and known is not None:
            versioned = {**wanted, "metadata": {**wanted["metadata"], "resourceVersion": known[1]}}
            written = self._api.replace("ConfigMap", versioned)
        else:
            written = self._api.create("ConfigMap", wanted)
        self._remember(key, written)

    def _object(self, key: str, body: str, generation: int) -> Object:
        data = {"generation": str(generation + 1), "write": uuid4().hex}
        packed = {"binaryData": {"packed": base64.b64encode(zlib.compress(body.encode())).decode()}}
        kept: Object = {"data": {**data, "body": body}} if len(body) <= LARGE else {"data": data, **packed}
        meta = {"name": name_of(key), "namespace": self.table, "labels": LABELS, "annotations": {KEY: key}}
        return {"metadata": meta, **kept}

    def _stands(self, key: str, wanted: Object) -> bool:
        """Whether this very write is there: one whose answer was lost is sent again, and meets what it has changed itself."""
        found = self._found(key) or {}
        return bool(found.get("data", {}).get("write") == wanted["data"]["write"])

    def _found(self, key: str) -> Object | None:
        try:
            found = self._api.get("ConfigMap", self.table, name_of(key))
            if found is None:
                self._read.pop(key, None)
                self._demand_namespace()
                return None
        except ClusterError as error:
            raise self._translated(error) from error
        self._remember(key, found)
        return found

    def _remember(self, key: str, found: Object) -> None:
        with suppress(KeyError, ValueError):
            self._read[key] = int(found["data"]["generation"]), str(found["metadata"]["resourceVersion"])

    def _demand_namespace(self) -> None:
        """A ConfigMap that is missing looks the same with and without its namespace. Who may not read namespaces goes on."""
        try:
            found = self._api.get("Namespace", "", self.table)
        except Unreachable:
            raise
        except ClusterError:
            return
        if found is None:
            raise TableMissing(_MISSING.format(self.table))

    def _translated(self, error: ClusterError) -> Exception:
        if f'namespaces "{self.table}" not found' in str(error):
            return TableMissing(_MISSING.format(self.table))
        return RecordError(f"the switch record in namespace {self.table} cannot be reached: {error}")

    def _tell(self, key: str, holder: Holder | None) -> None:
        """Writes the Lease. What goes wrong here is told by the record itself, and must not undo what was written."""
        if holder is None and key in self._free:
            return
        with suppress(ClusterError):
            self._api.patch("Lease", self.table, name_of(key), lease(self.table, key, holder, datetime.now(UTC)), "apply")
            (self._free.discard if holder else self._free.add)(key)


def make_namespace(api: ClusterApi, namespace: str) -> bool:
    """Makes the namespace of the switch record. Returns False when it exists already.

    Raises `ClusterError`."""
    try:
        api.create("Namespace", {"metadata": {"name": namespace, "labels": LABELS}})
    except Changed:
        return False
    return True


_MISSING = "namespace {} for the switch record does not exist; make it once with `turnout init`"


def name_of(key: str) -> str:
    """The name of an item's objects: its id with dots for slashes; where that is no name, or could be another's, with a part of
    its hash."""
    plain = key.strip("/").replace("/", ".")
    clean = _OTHERS.sub("-", plain.lower()).strip("-.")
    if clean == key.replace("/", ".") and len(clean) <= NAME_LIMIT and "." not in key:
        return clean
    return f"{clean[: NAME_LIMIT - 9].rstrip('-.')}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def lease(namespace: str, key: str, holder: Holder | None, now: datetime) -> dict[str, Any]:
    """The Lease ("Leases"): holder, since when, and for how many seconds from `now`; without a holder none of them."""
    spec: dict[str, Any] = {}
    if holder is not None:
        left = max(1, round((holder.until - now).total_seconds()))
        spec = {"holderIdentity": holder.name, "leaseDurationSeconds": left}
        spec |= {"acquireTime": _micro(holder.since), "renewTime": _micro(now)}
    meta = {"name": name_of(key), "namespace": namespace, "labels": LABELS, "annotations": {KEY: key}}
    return {"metadata": meta, "spec": spec}


def _micro(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
