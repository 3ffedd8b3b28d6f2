"""The forms of the Connect protocol: content types, envelopes, errors. Without I/O.

    unary       a message is a body                        errors: a status and JSON
    streaming   ┌───────┬─────────┬─────────┐
                │ flags │ length  │ message │ …            errors: JSON in the last envelope
                └───────┴─────────┴─────────┘
                  u8      u32 big-endian                   flags: 1 compressed, 2 the last
"""

from __future__ import annotations

from _struct import Struct

from beep_host import rpc_binary, rpc_json
from beep_host.http_parser import HttpError
from beep_host.replies import dumps
from beep_host.rpc_schema import METHODS, SERVICE
from beep_host.rpc_status import CODES, Status

PATH_PREFIX = b"/" + SERVICE.encode() + b"/"
_PREFIX = Struct(">BI")
PREFIX_BYTES = _PREFIX.size
_COMPRESSED, _LAST = 1, 2


class Codec:
    """One of the two forms of messages."""

    __slots__ = ("decode", "encode_buffers", "ok_head", "stream_type", "unary_type")

    def __init__(self, name: bytes, decode: object, encode_buffers: object) -> None:
        self.decode = decode
        self.encode_buffers = encode_buffers
        self.unary_type = b"application/" + name
        # What a response begins with that is followed by another request; its length comes next.
        self.ok_head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: " % self.unary_type
        self.stream_type = b"application/connect+" + name


def _json_buffers(name: str, message: dict) -> list:
    return [rpc_json.encode(name, message)]


JSON = Codec(b"json", rpc_json.decode, _json_buffers)
BINARY = Codec(b"proto", rpc_binary.decode, rpc_binary.encode_buffers)
UNARY_CODECS = {codec.unary_type: codec for codec in (JSON, BINARY)}
STREAM_CODECS = {codec.stream_type: codec for codec in (JSON, BINARY)}


def method_of(path: bytes) -> str | None:
    """The method that a path names; None when there is none of this name."""
    if not path.startswith(PATH_PREFIX):
        return None
    name = path[len(PATH_PREFIX) :].decode("latin-1")
    return name if name in METHODS else None


def open_envelope(body: bytes | bytearray) -> memoryview:
    """The one message of a request to a streaming procedure."""
    view = memoryview(body)
    if len(view) < _PREFIX.size:
        # Nothing at all is a row of no messages, of which this kind of procedure knows no use.
        word = "protocol" if len(view) else "unimplemented"
        raise HttpError(400, word, "Cannot read request: it contains no message in an envelope")
    flags, length = _PREFIX.unpack_from(view)
    if flags & ~_COMPRESSED:
        raise HttpError(400, "protocol", f"Cannot read request: the flags of its message are {flags}, which is no message")
    if flags:
        # What the specification says for a flag without an encoding; another encoding was refused with the head.
        raise HttpError(400, "internal", "Cannot read request: its message is compressed, and no encoding was named")
    end = _PREFIX.size + length
    if len(view) < end:
        raise HttpError(400, "protocol", "Cannot read request: it ends inside an envelope")
    if len(view) > end:
        raise HttpError(400, "unimplemented", "Cannot read request: it has more than one message")
    return view[_PREFIX.size : end]


def envelope(codec: Codec, name: str, message: dict) -> list:
    """A message of a stream, in pieces."""
    buffers = codec.encode_buffers(name, message)
    return [_PREFIX.pack(0, sum([len(buffer) for buffer in buffers])), *buffers]


def last_envelope(status: Status | None) -> bytes:
    """The end of a stream, with its error."""
    text = dumps({} if status is None else {"error": error(status)})
    return _PREFIX.pack(_LAST, len(text)) + text


def error(status: Status) -> dict:
    """An error as Connect's JSON."""
    from binascii import b2a_base64

    detail = rpc_binary.encode("ErrorDetail", status.detail)
    return {
        "code": status.code,
        "message": status.detail["message"],
        "details": [
            {
                "type": "beep.python.v1.ErrorDetail",
                "value": b2a_base64(detail, newline=False).rstrip(b"=").decode("ascii"),
                "debug": rpc_json.to_json("ErrorDetail", status.detail),
            }
        ],
    }


def http_status(status: Status) -> int:
    """The HTTP status of a unary procedure's error."""
    return CODES[status.code][1]
