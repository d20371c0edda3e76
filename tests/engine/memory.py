"""A provider whose cloud is a JSON file, so that it outlives a killed engine; faults and deaths on demand."""

import json
import os
import signal
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from turnout.engine.provider import AutoName, Created, Fault, Observed, Properties, ProviderConfig, ProviderError


@dataclass
class MemoryCloud:
    """Objects by id, and the calls made. `die_at` kills this process at `<call>:<n>` (`create:before:1`)."""

    path: Path
    die_at: str = ""
    fail: dict[str, str] = field(default_factory=dict)
    """Message of the failure by `<call>:<name>`."""
    lock: Lock = field(default_factory=Lock)
    counts: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def objects(self) -> dict[str, Properties]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def write(self, objects: dict[str, Properties]) -> None:
        whole = self.path.with_suffix(".new")
        whole.write_text(json.dumps(objects))
        whole.replace(self.path)  # readers hold no lock

    def point(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        if self.die_at == f"{name}:{self.counts[name]}":
            os.kill(os.getpid(), signal.SIGKILL)


class Thing:
    """test:index:Thing: `name` (auto-named), `size`, `color` (replaces), `secret`, `tags`; `seed` is written only; outputs
    `version`, `serial`, and carelessly every input."""

    inputs = frozenset({"name", "size", "color", "secret", "tags", "seed"})
    write_only = frozenset({"seed"})
    replace_on = frozenset({"color"})
    volatile = frozenset({"version"})
    auto_name: AutoName | None = AutoName("name", 24)

    def __init__(self, cloud: MemoryCloud, token: str = "test:index:Thing", delete_first: bool = False) -> None:
        self.cloud = cloud
        self.token = token
        self.delete_before_replace = delete_first

    def check(self, inputs: Properties) -> list[Fault]:
        return [Fault("size", "must not be negative")] if isinstance(inputs.get("size"), int) and inputs["size"] < 0 else []

    def create(self, config: ProviderConfig, inputs: Properties, token: str) -> Created:  # noqa: ARG002
        with self.cloud.lock:
            self._call("create", inputs)
            self.cloud.point("create:before")
            objects = self.cloud.objects()
            if any(o["inputs"].get("name") == inputs["name"] and o["type"] == self.token for o in objects.values()):
                raise ProviderError(f"name {inputs['name']} is taken")
            id_ = f"id-{uuid.uuid4().hex[:8]}"
            objects[id_] = {"type": self.token, "inputs": inputs, "version": 1, "token": token}
            self.cloud.write(objects)
            self.cloud.point("create:after")
        if f"late:{inputs['name'].split('-')[0]}" in self.cloud.fail:
            raise ProviderError("half made")
        return Created(id_, self._outputs(id_))

    def find(self, config: ProviderConfig, inputs: Properties, token: str) -> Created | None:  # noqa: ARG002
        for id_, found in self.cloud.objects().items():
            if found["token"] == token:
                return Created(id_, self._outputs(id_))
        return None

    def read(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties) -> Observed | None:  # noqa: ARG002
        found = self.cloud.objects().get(id)
        return Observed(found["inputs"], self._outputs(id)) if found else None

    def update(self, config: ProviderConfig, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:  # noqa: ARG002
        with self.cloud.lock:
            self._call("update", new)
            self.cloud.point("update:before")
            objects = self.cloud.objects()
            objects[id] = {**objects[id], "inputs": new, "version": objects[id]["version"] + 1}
            self.cloud.write(objects)
            self.cloud.point("update:after")
        return self._outputs(id)

    def delete(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties, timeout: float) -> None:  # noqa: ARG002
        with self.cloud.lock:
            self._call("delete", inputs)
            self.cloud.point("delete:before")
            objects = self.cloud.objects()
            objects.pop(id, None)
            self.cloud.write(objects)
            self.cloud.point("delete:after")

    def _call(self, call: str, inputs: Properties) -> None:
        name = str(inputs["name"]).split("-")[0]
        self.cloud.calls.append(f"{call} {name}")
        if message := self.cloud.fail.get(f"{call}:{name}"):
            raise ProviderError(message)

    def _outputs(self, id_: str) -> dict[str, Any]:
        found = self.cloud.objects()[id_]
        return {**found["inputs"], "version": found["version"], "serial": f"serial-{id_}"}
