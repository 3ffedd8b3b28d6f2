"""Asks the host's API: JSON there and back, and streams of progress."""

from __future__ import annotations

import sys
from contextvars import ContextVar

from beep_host.infrastructure.errors import EnvironmentNameError, HostGoneError, InfrastructureError, error_from
from beep_host.infrastructure.link import Answer, Link
from beep_host.infrastructure.records import progress_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from beep_host.infrastructure.records import ProgressEvent

    OnProgress = Optional[Callable[[ProgressEvent], object]]

# Stands for a null that is sent; a None is left out.
NULL = object()

# The list into which a request puts its link, so that whoever waits for it on another thread can cut it.
links: ContextVar = ContextVar("beep_host_links")


def ask(method: str, path: str, body: dict | None = None, query: dict | None = None) -> Any:
    """Does a short operation and gives its result."""
    with _new_link() as link:
        answer = _send(link, method, path, body, query, "application/json")
        return _read(answer)


def work(method: str, path: str, body: dict, on_progress: OnProgress = None) -> Any:
    """Does a long operation and gives its result. Progress goes to `on_progress` and to the caller's own call.

    An exception, also one of `on_progress`, ends the operation on the host's side.
    """
    with _new_link() as link:
        answer = _send(link, method, path, body, None, "application/x-ndjson")
        if answer.content_type != "application/x-ndjson":
            return _read(answer)
        for line in _lines(answer):
            if "progress" in line:
                event = progress_from(line["progress"])
                _report(event)
                if on_progress is not None:
                    on_progress(event)
            elif "error" in line:
                raise error_from(line["error"])
            else:
                return line["result"]
        raise HostGoneError("Cannot do this to its end: the host has gone", code="closed")


def exchange(path: str, data: bytes) -> bytes:
    """Sends frames and gives what is answered."""
    with _new_link() as link:
        fields = {"Accept": "application/x-beep-frames", "Content-Type": "application/x-beep-frames"}
        answer = link.request("POST", path, fields, data)
        if answer.content_type == "application/x-beep-frames":
            return answer.read()
        _read(answer)
        raise HostGoneError("Cannot read the host's answer: it is of another kind", code="protocol")


def quoted(name: str) -> str:
    """A name or id as one segment of a path."""
    from urllib.parse import quote

    if type(name) is not str:
        raise TypeError(f"A name must be a string, not {type(name).__name__}")
    if not name.strip("."):
        # It would be a step in the path, not a name.
        raise EnvironmentNameError(f'Cannot use name "{name}": it has nothing but dots', code="environment")
    return quote(name, safe="")


def _new_link() -> Link:
    link = Link()
    waiting = links.get(None)
    if waiting is not None:
        waiting.append(link)
    return link


def _send(link: Link, method: str, path: str, body: dict | None, query: dict | None, accept: str) -> Answer:
    fields = {"Accept": accept}
    data = None
    if query:
        from urllib.parse import urlencode

        path = f"{path}?{urlencode({key: value for key, value in query.items() if value is not None})}"
    if body is not None:
        import json

        fields["Content-Type"] = "application/json"
        given = {key: value for key, value in body.items() if value is not None}
        data = json.dumps({key: None if value is NULL else value for key, value in given.items()}).encode()
    return link.request(method, path, fields, data)


def _read(answer: Answer) -> Any:
    import json

    try:
        content = json.loads(answer.read())
    except ValueError as error:
        raise InfrastructureError(f"The host failed, with status {answer.status}", code="internal") from error
    if answer.status >= 400:
        raise error_from(content["error"])
    return content


def _lines(answer: Answer) -> Any:
    import json

    rest = b""
    for chunk in answer.chunks():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield json.loads(line)


def _report(event: ProgressEvent) -> None:
    """Tells the client of the running call, where there is one that wants to know."""
    output = sys.modules.get("beep_host.output")
    call = None if output is None else output.call_that_asked("progress")
    if call is None:
        return
    done = event.done or 0
    total = None if event.total is None else max(event.total, done)
    text = f"{event.stage}: {event.subject}"
    message = text if event.message is None else f"{text}: {event.message}"
    output.emit(call, "progress", {"done": done, "total": total, "message": message})
