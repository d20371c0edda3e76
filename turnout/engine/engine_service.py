"""Pulumi's Engine service: the program's log and its root resource."""

from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from turnout.engine.events import Events

_SEVERITY = {engine_pb2.INFO: "info", engine_pb2.WARNING: "warning", engine_pb2.ERROR: "error"}
_SHUTTING_DOWN = "Resource monitor has terminated"
"""What the SDK logs after a registration failed; the failure itself was reported already."""


class EngineService(engine_pb2_grpc.EngineServicer):
    """Serves one program's run. `errors` takes what the program logs as an error: such a run has failed."""

    def __init__(self, events: Events, errors: list[str]) -> None:
        self._events = events
        self._errors = errors
        self._root = ""

    def Log(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        severity = _SEVERITY.get(request.severity)
        if severity is None or _SHUTTING_DOWN in request.message:
            return empty_pb2.Empty()
        if severity == "error":
            self._errors.append(request.message)
        self._events.say(severity, request.message.rstrip("\n"), request.urn, request.ephemeral)
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """The protocol spoken here is that of the installed SDK, whatever range the program asks for."""
        return engine_pb2.RequirePulumiVersionResponse()
