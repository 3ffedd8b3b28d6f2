"""TLS for accepted connections: a socket that encrypts, with the few methods of a plain one that our loops use.

Not `ssl.SSLSocket`, for two reasons. Before 3.13 two threads that read and write one of those at the same time break
it, and ours do: the thread that completes an answer sends it while the connection's thread reads ahead. And its
reads hide the time limit that the kernel keeps (`SO_RCVTIMEO`). Here all cryptography is in memory, under one lock,
and the waiting is done by the plain socket underneath, without it:

    recv     raw socket ──bytes──► incoming ── lock: decrypt ──► plain text
    sendall  plain text ── lock: encrypt ──► outgoing ── send lock, in order ──► raw socket
"""

from __future__ import annotations

import ssl
from _thread import allocate_lock

from beep_host.errors import ArgumentError

# More than one record, so that a read of the raw socket takes what is there.
_READ_BYTES = 64 * 1024
# Encrypted apart, so that a large answer is not held twice.
_WRITE_BYTES = 256 * 1024
# The first byte of every TLS connection: a record of the handshake.
HANDSHAKE_RECORD = 0x16


def make_context(given: dict) -> ssl.SSLContext:
    """The context for `{certFile, keyFile, clientCaFile}`: TLS 1.2 or later; with `clientCaFile`, for those clients only
    that have a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client that renegotiates makes the server do the costly part again and again.
    context.options |= getattr(ssl, "OP_NO_RENEGOTIATION", 0) | ssl.OP_NO_COMPRESSION
    # Without this, OpenSSL would ask on the terminal for the passphrase of an encrypted key.
    cert, key = given["certFile"], given["keyFile"]
    _load(f'certFile "{cert}" and keyFile "{key}"', context.load_cert_chain, cert, key, _no_passphrase)
    client_ca = given.get("clientCaFile")
    if client_ca is not None:
        _load(f'clientCaFile "{client_ca}"', context.load_verify_locations, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_passphrase() -> str:
    raise ArgumentError("Cannot read keyFile: it is encrypted", hint="Give a key without a passphrase, readable by you alone.")


def _load(option: str, load: object, *arguments: object) -> None:
    try:
        load(*arguments)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ArgumentError(f"Cannot use {option} for TLS: {error}") from None


class TlsSocket:
    """A connection whose handshake is done by `shake_hands`. One thread reads; any thread sends."""

    def __init__(self, sock: object, context: ssl.SSLContext) -> None:
        self._socket = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._lock = allocate_lock()  # of the cryptographic state; never held while waiting
        self._send_lock = allocate_lock()  # keeps records in the order in which they were made
        self._plain = b""  # decrypted, and not yet taken
        self._is_at_end = False

    def shake_hands(self, first_bytes: bytes, remaining: object) -> None:
        """Opens the connection; `remaining()` gives the seconds that are left. Raises `OSError`, which `ssl.SSLError`
        is; what the peer is to be told has then been sent."""
        self._incoming.write(first_bytes)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError:
                self._flush()  # the alert that says why
                raise
            else:
                self._flush()
                self._decrypt()  # what came together with the end of the handshake
                return
            self._socket.settimeout(remaining())
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError("the peer left during the TLS handshake")
            self._incoming.write(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """The next plain bytes, at most `size`; empty at the end. With flags, waits for no more than one read of the
        raw socket, and raises `BlockingIOError` when that completes no record."""
        while not self._plain:
            if self._is_at_end:
                return b""
            data = self._socket.recv(_READ_BYTES, flags)
            if not data:
                # Cut off, or ended without the notice that ends TLS: requests have lengths of their own, so an early
                # end is noticed there.
                self._is_at_end = True
                return b""
            self._incoming.write(data)
            self._decrypt()
            if flags and not self._plain and not self._is_at_end:
                raise BlockingIOError("no whole TLS record has come")
        taken = self._plain[:size]
        self._plain = self._plain[size:]
        return taken

    def recv_into(self, target: memoryview) -> int:
        """Receives straight into memory; gives the number of bytes, 0 at the end."""
        data = self.recv(len(target))
        target[: len(data)] = data
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Sends everything, in one row with what other threads send."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _WRITE_BYTES):
            with self._send_lock:
                with self._lock:
                    self._tls.write(view[start : start + _WRITE_BYTES])
                    sealed = self._outgoing.read()
                self._socket.sendall(sealed)

    def shutdown(self, how: int) -> None:
        """Ends the connection, or with 1 our half of it, after the notice that tells the peer that nothing was cut off."""
        if how == 1:
            with self._send_lock:
                with self._lock:
                    try:
                        self._tls.unwrap()
                    except ssl.SSLError:
                        pass  # the peer's own notice is still to come, or the connection broke before
                    sealed = self._outgoing.read()
                self._socket.sendall(sealed)
        self._socket.shutdown(how)

    def _decrypt(self) -> None:
        """Decrypts what has come in."""
        pieces = []
        try:
            with self._lock:
                while not self._is_at_end:
                    piece = self._tls.read(_READ_BYTES)
                    if piece:
                        pieces.append(piece)
                    else:
                        self._is_at_end = True
        except ssl.SSLWantReadError:
            pass  # all that has come is decrypted
        except ssl.SSLZeroReturnError:
            self._is_at_end = True
        finally:
            self._plain += b"".join(pieces)
            if self._outgoing.pending:
                self._flush()  # an answer of TLS itself: to a change of keys, or the alert that says what is wrong

    def _flush(self) -> None:
        with self._send_lock:
            with self._lock:
                sealed = self._outgoing.read()
            if sealed:
                self._socket.sendall(sealed)

    # As of the plain socket underneath.

    def settimeout(self, seconds: float | None) -> None:
        """Limits the time of each wait."""
        self._socket.settimeout(seconds)

    def setsockopt(self, *arguments: object) -> None:
        """Sets an option of the plain socket."""
        self._socket.setsockopt(*arguments)

    def fileno(self) -> int:
        """The descriptor of the plain socket."""
        return self._socket.fileno()

    def close(self) -> None:
        """Gives the descriptor back."""
        self._socket.close()
