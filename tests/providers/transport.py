"""Calls of boto3 that go to the API's WSGI application as functions do: without sockets, threads and their waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from moto.core.botocore_stubber import MockRawResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from werkzeug.test import EnvironBuilder, run_wsgi_app


def _remembered(owner: type[DomainDispatcherApplication]) -> Callable[..., Any]:
    """Moto looks through all services' patterns at each call, of which the answer is always the same."""
    look, known = owner.get_backend_for_host, dict[str | None, Any]()

    def find(self: DomainDispatcherApplication, host: str | None) -> Any:
        if host not in known:
            known[host] = look(self, host)
        return known[host]

    return find


@contextmanager
def in_process(endpoint: str, application: Callable[..., Any]) -> Iterator[None]:
    """Answers what boto3 sends to `endpoint` by the application; everything else goes over the network as ever."""
    send = URLLib3Session.send

    def answer(self: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        if not request.url.startswith(endpoint):
            return send(self, request)
        url, body = urlsplit(request.url), request.body or b""
        content = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else body.read()
        headers = [(name, value.decode() if isinstance(value, bytes) else value) for name, value in request.headers.items()]
        environ = EnvironBuilder(
            path=url.path or "/",
            query_string=url.query,
            base_url=endpoint,
            method=request.method,
            headers=headers,
            input_stream=BytesIO(content),
        ).get_environ()
        environ["CONTENT_LENGTH"] = str(len(content))
        try:
            chunks, status, answered = run_wsgi_app(application, environ, buffered=True)
        except NotImplementedError as error:  # werkzeug's server answers so to an error that the application lets out
            return AWSResponse(request.url, 500, {}, MockRawResponse(str(error)))
        return AWSResponse(request.url, int(status.split()[0]), answered, MockRawResponse(b"".join(chunks)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DomainDispatcherApplication, "get_backend_for_host", _remembered(DomainDispatcherApplication))
        patch.setattr(URLLib3Session, "send", answer)
        yield
