"""Random values of Python from a seed, and what tells values apart as text. For the codec alone and for whole servers."""

from __future__ import annotations

import json
import random
import struct


def describe(value: object, above: tuple = ()) -> str:
    """Type and value as text, the same for equal values of equal type only; `describe.ts` has its twin."""
    kind = type(value)
    if value is None or kind is bool:
        return {None: "n", True: "T", False: "F"}[value]
    if kind is int:
        return f"i{value:x}"
    if kind is float:
        return "fnan" if value != value else "f" + struct.pack(">d", value).hex()
    if kind is str:
        return json.dumps(value)
    if kind in (bytes, bytearray):
        return ("b" if kind is bytes else "B") + value.hex()
    if id(value) in above:
        return f"^{len(above) - above.index(id(value))}"
    inner = (*above, id(value))
    if kind in (list, tuple):
        items = ",".join([describe(item, inner) for item in value])
        return f"[{items}]" if kind is list else f"({items})"
    if kind in (set, frozenset):
        return (
            ("S" if kind is set else "Z")
            + "{"
            + ",".join(sorted(describe(item, inner) for item in value))
            + "}"
        )
    if kind is dict:
        return (
            "{"
            + ",".join(sorted(f"{describe(k, inner)}:{describe(v, inner)}" for k, v in value.items()))
            + "}"
        )
    return f"<{kind.__name__} {value!r}>"


def random_value(rng: random.Random, depth: int, hashable: bool = False) -> object:
    leaf = depth <= 0 or rng.random() < 0.4
    if leaf:
        return rng.choice(LEAVES)(rng)
    if hashable:
        return tuple(random_value(rng, depth - 1, True) for _ in range(rng.randrange(4)))
    which = rng.randrange(6)
    size = rng.choice((0, 1, 2, 3, 5, 9, 40) if depth == 1 else (0, 1, 2, 3, 5))
    if which == 0:
        return tuple(random_value(rng, depth - 1) for _ in range(size))
    if which == 1:
        return {random_text(rng): random_value(rng, depth - 1) for _ in range(size)}
    if which == 2:
        return {apart(random_value(rng, 1, True)): random_value(rng, depth - 1) for _ in range(size)}
    if which == 3:
        return {apart(random_value(rng, 1, True)) for _ in range(size)}
    items: list = [random_value(rng, depth - 1) for _ in range(size)]
    if items and which == 5:
        items.append(rng.choice(items))  # shared
    return items


def apart(value: object) -> object:
    """A key that both languages keep apart from all others: no NaN and no -0."""
    if type(value) is tuple:
        return tuple(apart(item) for item in value)
    return 0.5 if type(value) is float and (value != value or value == 0) else value


def random_text(rng: random.Random) -> str:
    alphabet = rng.choice(
        ("abc", "0123456789", "aé\u4e2d", "\U0001f600x", "\ud800a\udfffb", '\x00"\\\n\u2028', "$_p")
    )
    text = "".join(rng.choice(alphabet) for _ in range(rng.choice((0, 1, 2, 5, 30, 50))))
    if rng.random() < 0.05:
        text = rng.choice(("__proto__", "constructor", "$", "toJSON", "then", "length", "-0", "1"))
    # No high surrogate before a low one: such a string becomes a handle.
    return "".join(
        b if not ("\ud800" <= a <= "\udbff" and "\udc00" <= b <= "\udfff") else "_"
        for a, b in zip(" " + text, text)
    )


def random_float(rng: random.Random) -> float:
    value = struct.unpack(">d", rng.getrandbits(64).to_bytes(8, "big"))[0]
    # A float without a fraction comes back as an int, as the table says.
    return (
        0.5
        if value == int(value if value - value == 0 else 0) and value != 0 and value - value == 0
        else value or 0.5
    )


LEAVES = [
    lambda rng: None,
    lambda rng: rng.random() < 0.5,
    lambda rng: rng.randrange(-300, 300),
    lambda rng: rng.randrange(
        -(2 ** rng.choice((15, 16, 31, 32, 47, 48, 53, 54, 63, 64, 200))), 2 ** rng.choice((8, 53, 64, 90))
    ),
    lambda rng: rng.choice(
        (2**53, 2**53 - 1, 2**53 + 1, -(2**53), -(2**53) + 1, 2**63, -(2**63), 255, 256, 65535, 65536)
    ),
    random_float,
    lambda rng: rng.choice(
        (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308 / 3 + 0.1, 0.1)
    ),
    random_text,
    random_text,
    lambda rng: bytes(rng.getrandbits(8) for _ in range(rng.choice((0, 1, 7, 300)))),
]
