"""How both sides of a pipe prove that they know the token, without saying it."""

from __future__ import annotations

import os
from _operator import _compare_digest as compare_digest


def new_secret(size: int) -> str:
    """Random bytes as hex digits."""
    return os.urandom(size).hex()


def proof(token: str, role: str, client_nonce: str, server_nonce: str) -> str:
    """Hex HMAC-SHA256 of `role:client nonce:server nonce` under the token."""
    return _hmac_sha256(token.encode(), f"{role}:{client_nonce}:{server_nonce}".encode())


def matches(expected: str, given: object) -> bool:
    """Compares in constant time."""
    return type(given) is str and compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def _hmac_sha256(key: bytes, message: bytes) -> str:
    # RFC 2104 by hand: the hmac module loads OpenSSL, which costs a start several milliseconds.
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256
    if len(key) > 64:
        key = sha256(key).digest()
    key = key.ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()
