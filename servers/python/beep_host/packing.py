"""Values towards the client as a packed stream (`docs/PROTOCOL.md` §5): written at C speed, read without
executing.

The pickler of the standard library writes plain data by itself and asks `reducer_override` about everything
else. What we answer names only the functions of our own closed table, so the stream holds nothing that a
reader could execute; and Python itself never reads one.
"""

from __future__ import annotations

from _pickle import Pickler

from beep_host.errors import ConversionError, HostError, LimitError
from beep_host.frames import check_size
from beep_host.images import image

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any, Callable

# A buffer smaller than this costs less inside the stream than as a part of its own.
_OUT_OF_BAND_BYTES = 1024
# A frame may have 65,536 parts; arrays beyond that travel inside the stream.
_MOST_BUFFERS = 60_000


class Global:
    """A name of the closed table. Instances live in `beep_host.values`, under which name the stream knows
    them.
    """

    __module__ = "beep_host.values"
    __slots__ = ("__qualname__",)

    def __init__(self, name: str) -> None:
        self.__qualname__ = name

    def __call__(self, *_arguments: object) -> object:
        raise TypeError("A packed stream is read by clients only")


GLOBALS: dict[str, Global] = {
    name: Global(name)
    for name in (
        "handle",
        "scalar",
        "map",
        "datetime",
        "datetime_tz",
        "date",
        "time",
        "timedelta",
        "decimal",
        "uuid",
        "complex",
        "array",
        "object",
    )
}
_HANDLE = GLOBALS["handle"]


class _Unfaithful(Exception):
    """Leaves the pickler, in strict mode, with the object that has no image."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


class _Sink:
    """The file of a pickler: collects what is written."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write


class _Packer(Pickler):
    def __init__(self, context: Any, strict: bool, write: Callable, buffer_callback: Callable) -> None:
        super().__init__(_Sink(write), 5, buffer_callback=buffer_callback)
        self.context = context
        self.converters = getattr(context, "converters", None)
        self.strict = strict
        self.handle_ids: list[int] = []

    def reducer_override(self, value: Any) -> Any:
        if type(value) is Global:
            return value.__qualname__
        try:
            found = image(value, self.converters)
            if found is not None:
                if len(found) == 2:
                    return GLOBALS[found[0]], found[1]
                if found[0] == "map":
                    return GLOBALS["map"], (), None, None, iter(list(dict.items(found[2])))
                return GLOBALS[found[0]], found[1], found[2]
        except HostError:
            raise
        except Exception:
            # A hostile or half-made object whose parts cannot be read: it has no image.
            pass
        return self.handle_of(value)

    def handle_of(self, value: object) -> tuple:
        if self.strict:
            raise _Unfaithful(value)
        handle = self.context.new_handle(value)
        self.handle_ids.append(handle[0])
        return _HANDLE, handle


class _SurrogateAwarePacker(_Packer):
    """The slow one: also looks at every string for a pair that JavaScript would join into one character."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.seen: dict[int, tuple] = {}

    def persistent_id(self, value: Any) -> Any:
        if type(value) is not str or not has_surrogate_pair(value):
            return None
        if id(value) not in self.seen:
            self.seen[id(value)] = self.handle_of(value)[1]
        return self.seen[id(value)]


def has_surrogate_pair(text: str) -> bool:
    """Whether a high surrogate is followed by a low one, which JavaScript cannot keep apart."""
    high = False
    for character in text:
        if high and "\udc00" <= character <= "\udfff":
            return True
        high = "\ud800" <= character <= "\udbff"
    return False


def pack(value: object, strict: bool, context: Any) -> list:
    """The parts of `value`: the stream, then its buffers. In strict mode what has no image is a
    `ConversionError`.
    """
    parts, packer = _pack(_Packer, value, strict, context)
    # Surrogates are three bytes of which the first is 0xED. Finding it is one pass at memory speed; it is
    # also the first byte of many Hangul syllables and may be in any binary data, so the pair itself is then
    # looked for.
    if b"\xed" in parts[0] and _may_hold_pair(parts[0]):
        _drop(packer)
        parts, packer = _pack(_SurrogateAwarePacker, value, strict, context)
    most = getattr(context, "max_frame_bytes", None)
    if most is not None:
        try:
            check_size(most, b"", parts)
        except LimitError:
            _drop(packer)
            raise
    return parts


def _may_hold_pair(stream: bytes) -> bool:
    import re

    return re.search(b"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf]", stream) is not None


def _pack(packer_class: type[_Packer], value: object, strict: bool, context: Any) -> tuple[list, _Packer]:
    chunks: list[bytes] = []
    buffers: list = []

    def keep(buffer: Any) -> bool:
        view = buffer.raw()
        if view.nbytes < _OUT_OF_BAND_BYTES or len(buffers) >= _MOST_BUFFERS:
            return True
        buffers.append(view)
        return False

    packer = packer_class(context, strict, chunks.append, keep)
    try:
        packer.dump(value)
    except _Unfaithful as unfaithful:
        raise unfaithful_error(value, unfaithful.value) from None
    except BaseException:
        _drop(packer)
        raise
    return [chunks[0] if len(chunks) == 1 else b"".join(chunks), *buffers], packer


def _drop(packer: _Packer) -> None:
    """Gives back handles that the client will never hear of."""
    drop = getattr(packer.context, "drop_handles", None)
    if drop is not None and packer.handle_ids:
        drop(packer.handle_ids)


def pack_handle(handle: tuple[int, str]) -> bytes:
    """The stream of one handle, written by hand: results that are handles are many, and a pickler costs ten
    times this.
    """
    number, type_name = handle
    name = type_name.encode("utf-8", "replace")[:255].decode("utf-8", "ignore").encode()
    size = number.bit_length() // 8 + 1
    return b"".join(
        (
            b"\x80\x05\x8c\x10beep_host.values\x8c\x06handle\x93\x8a",
            bytes((size,)),
            number.to_bytes(size, "little"),
            b"\x8c",
            bytes((len(name),)),
            name,
            b"\x86R.",
        )
    )


def unfaithful_error(root: object, value: object) -> ConversionError:
    """The error for `value`, which is somewhere in `root`."""
    name = type.__dict__["__name__"].__get__(type(value))
    if type(value) is str:
        what = "a string in which a high surrogate is followed by a low one"
    else:
        what = f"an object of type {name}"
    return ConversionError(
        f"Cannot send {what} by value: it has no faithful image in JavaScript",
        find_path(root, value),
        hint='Ask for result "auto" or "handle", or convert it in Python first.',
    )


def is_container(kind: type) -> bool:
    """Whether `kind` is a builtin container; compared by identity, since a metaclass may have an `==` of its
    own.
    """
    return kind is list or kind is tuple or kind is dict or kind is set or kind is frozenset


def find_path(root: object, wanted: object) -> str:
    """Where in plain containers `wanted` is, such as `$.rows[3].when`; `$` when it is not found there."""
    from beep_host.paths import key_path

    seen: set[int] = set()
    stack: list[tuple[object, str]] = [(root, "$")]
    while stack:
        value, path = stack.pop()
        if value is wanted:
            return path
        kind = type(value)
        if not is_container(kind) or id(value) in seen:
            continue
        seen.add(id(value))
        if kind is dict:
            stack.extend((child, key_path(path, key)) for key, child in value.items())  # type: ignore[attr-defined]
            stack.extend((key, f"{path}.keys()") for key in value)  # type: ignore[attr-defined]
        else:
            stack.extend((child, f"{path}[{number}]") for number, child in enumerate(value))  # type: ignore[arg-type]
    return "$"
