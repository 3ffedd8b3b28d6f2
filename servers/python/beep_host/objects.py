"""The objects that clients hold by handle."""

from __future__ import annotations

from itertools import count

from beep_host.errors import MAX_NAME, LimitError, StaleHandle

DEFAULT_MAX_HANDLES = 1_000_000

# One counter for the whole server: an id is never used twice, so a stale one can never meet another object.
_next_id = count(1).__next__
# type's own descriptor, so that a metaclass cannot answer in its place.
_name_of = type.__dict__["__name__"].__get__


class HandleTable:
    """The handles of one session."""

    __slots__ = ("_limit", "_objects")

    def __init__(self, limit: int = DEFAULT_MAX_HANDLES) -> None:
        self._objects: dict[int, object] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, handle_id: int) -> bool:
        return handle_id in self._objects

    def add(self, value: object) -> tuple[int, str]:
        """Holds `value` and gives its id and the name of its type."""
        if len(self._objects) >= self._limit:
            raise LimitError(
                f"Cannot make handle: {len(self._objects)} are held, maxHandles is {self._limit}",
                hint="Dispose handles when they are done with, or use scope().",
            )
        handle_id = _next_id()
        self._objects[handle_id] = value
        name = _name_of(type(value))
        return handle_id, name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"

    def get(self, handle_id: int) -> object:
        """The object of a handle."""
        try:
            return self._objects[handle_id]
        except (KeyError, TypeError):
            raise StaleHandle(f"Cannot use handle {handle_id}: it is not held by this session") from None

    def release(self, handle_id: int) -> None:
        """Lets go of an object; an id that is not held is passed over."""
        self._objects.pop(handle_id, None)

    def clear(self) -> None:
        """Lets go of everything."""
        self._objects.clear()
