"""Where in a value something is: `$.rows[3].when`. The spelling is that of the client's own paths."""

from __future__ import annotations


def key_path(path: str, key: object) -> str:
    """The path of a dict's value."""
    if type(key) is str:
        if key.isascii() and key.isidentifier():
            return f"{path}.{key}"
        return f"{path}[{quote(key)}]"
    if key is None or type(key) in (bool, int, float):
        return f"{path}[{key!r:.40}]"
    name = type.__dict__["__name__"].__get__(type(key))
    return f"{path}[<{name}>]"


def quote(text: str) -> str:
    """A key between quotes, bounded."""
    from _json import encode_basestring_ascii

    return encode_basestring_ascii(text if len(text) <= 40 else f"{text[:40]}…")
