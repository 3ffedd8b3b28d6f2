"""What a server allows. Each field is an option of the same name in camelCase."""

from __future__ import annotations

from beep_host.errors import ArgumentError
from beep_host.frames import DEFAULT_MAX_FRAME_BYTES
from beep_host.nesting import MAX_DEPTH
from beep_host.objects import DEFAULT_MAX_HANDLES


class Limits:
    """The limits of one server."""

    def __init__(self, given: dict | None = None) -> None:
        self.max_frame_bytes = DEFAULT_MAX_FRAME_BYTES
        self.max_connections = 64  # that have shown the token; each pipe client has two
        self.max_unauthenticated = 32  # beyond it the oldest is dropped
        self.max_in_flight = 1024  # calls of one client that have no reply yet
        self.max_handles = DEFAULT_MAX_HANDLES  # of one session
        self.max_sessions = 1024  # further ones that one client opens
        self.max_threads = 32  # of `concurrent` calls, over all clients; beyond it they queue
        self.session_idle_ms = 30 * 60 * 1000  # an HTTP session without a request for so long ends
        self.interrupt_grace_ms = 2000
        self.max_depth = MAX_DEPTH  # of values that are nested in values
        self.max_head_bytes = 16 * 1024  # of an HTTP request line with its header fields
        # For an HTTP head from its first byte to its last, for the first head from the connection on; on the pipe for
        # the whole handshake.
        self.head_timeout_ms = 10_000
        # Without a byte of a body, and without the client taking a byte of an answer.
        self.body_stall_ms = 30_000
        self.idle_timeout_ms = 300_000  # of an authenticated HTTP connection between two requests
        # Of output and replies that a client has not read yet: for one HTTP request, for one connection of a pipe.
        self.max_buffered_bytes = 16 * 1024 * 1024
        self.refused_token_delay_ms = 100
        for name, value in (given or {}).items():
            field = _snake_case(name)
            if field not in self.__dict__:
                known = ", ".join(sorted(_camel_case(one) for one in self.__dict__))
                raise ArgumentError(f'Cannot set limit "{name}": there is none of this name, but {known}')
            if type(value) is not int or value < 0:
                raise ArgumentError(f'Cannot set limit "{name}" to {value!r}: it must be a whole number of at least 0')
            setattr(self, field, value)
        if self.max_depth > MAX_DEPTH:
            raise ArgumentError(f'Cannot set limit "maxDepth" to {self.max_depth}: the most is {MAX_DEPTH}')


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
