"""AWS's API on a loopback port: moto's application behind a middleware that tells the cloud what changed."""

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from moto import backends
from moto.core import responses, utils
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

logger = logging.getLogger(__name__)

_WATCHED = ("elasticloadbalancing", "autoscaling", "ec2")
_READS = ("Describe", "Get", "List")
_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/(?P<service>[^/]+)/aws4_request")


_PRIORITY = 10


class _Handler(MotoRequestHandler):
    """Logs only what failed. A connection's thread gives way to Envoy and the model servers, whose cores AWS's API does not
    share: Linux holds a priority a thread."""

    def setup(self) -> None:
        super().setup()
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _PRIORITY)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if str(code).startswith("5"):
            super().log_request(code, size)


class ControlPlane:
    """Serves the API. `changed()` runs after each call that changed load balancers, groups or instances and before its
    answer; `documents` gives by its path what else may be read, as JSON; `lock` is held by those calls."""

    def __init__(
        self, lock: AbstractContextManager[Any], changed: Callable[[], None], documents: Mapping[str, Callable[[], Any]]
    ) -> None:
        _remember_lookups()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = lock
        self._changed = changed
        self._documents = documents
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="api", daemon=True)

    @property
    def endpoint(self) -> str:
        """The URL for a client's `endpoint_url`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Serves in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Takes no more calls."""
        self._server.shutdown()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        document = self._documents.get(environ.get("PATH_INFO", ""))
        if document is not None:
            body = json.dumps(document()).encode()
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            return [body]
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = scope["service"] if scope else ""
        if service not in _WATCHED:
            return self._answer(environ, start_response)
        reads = _action(environ).startswith(_READS)
        with nullcontext() if reads and service == "ec2" else self._lock:
            answer = self._answer(environ, start_response)
        if not reads:
            try:
                self._changed()
            except Exception:
                logger.exception("the change by %s could not be put in force", service)
        return answer

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer


def _remember_lookups() -> None:
    """For each call moto lists its own folder, a look at the disk for every service, and the methods of the class that answers:
    nearly half of its time. Neither changes while it serves."""
    services = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: services
    responses.method_names_from_class = cache(utils.method_names_from_class)  # type: ignore[attr-defined]


def _action(environ: dict[str, Any]) -> str:
    """The `Action` of a form-encoded call; the body is left readable."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = BytesIO(body)
    return parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
