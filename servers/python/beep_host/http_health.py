"""`GET /health`: that a server of ours is here; and, for a client that sends a nonce, that it is the one of its token.

Who listens on a port that a server has left could otherwise be given its clients' code, and answer what it likes.
"""

from __future__ import annotations

from beep_host.handshake import proof
from beep_host.http_parser import RequestHead
from beep_host.json_api import HEALTH
from beep_host.protocol import NONCE_HEADER, PROOF_HEADER

_NONCE_FIELD = NONCE_HEADER.encode()
_MIN_NONCE, _MAX_NONCE = 16, 128


def health_of(head: RequestHead, server: object) -> tuple[bytes, bytes]:
    """The header fields and the text of the answer."""
    fields = b"Content-Length: %d\r\n" % len(HEALTH)
    nonce = head.headers.get(_NONCE_FIELD, b"")
    if server.auth and _MIN_NONCE <= len(nonce) <= _MAX_NONCE and nonce.isalnum():
        # A role of its own: what is proved here proves nothing on a pipe.
        proved = proof(server.token, "health", nonce.decode("ascii"), "")
        fields += f"{PROOF_HEADER}: {proved}\r\n".encode()
    return fields, HEALTH if head.method == b"GET" else b""
