"""`beep_host.display`, and how a value becomes a MIME bundle: the forms in which a reader may look at it.

A value says its forms by the methods that notebooks know (`_repr_html_`, `_repr_mimebundle_` …). They are looked up
on its class, so that an object which answers to any name is not asked, and what one raises costs that form alone.
"""

from __future__ import annotations

import sys
from typing import Any

from beep_host.errors import guarded_repr
from beep_host.output import call_that_asked, emit

_METHODS = (
    ("text/html", "_repr_html_"),
    ("image/svg+xml", "_repr_svg_"),
    ("image/png", "_repr_png_"),
    ("image/jpeg", "_repr_jpeg_"),
    ("application/pdf", "_repr_pdf_"),
    ("text/markdown", "_repr_markdown_"),
    ("text/latex", "_repr_latex_"),
    ("application/json", "_repr_json_"),
    ("application/javascript", "_repr_javascript_"),
)
_BINARY = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"))
# Formats of matplotlib that a figure is drawn in when they are asked for; PNG alone when nothing is.
_FIGURE_FORMATS = {"image/png": "png", "image/svg+xml": "svg", "image/jpeg": "jpeg", "application/pdf": "pdf"}


def display(*values: Any, include: list | tuple | None = None) -> None:
    """Shows values to the client, each as a MIME bundle; prints their `repr` where the client does not look.

    `include` names the MIME types that are wanted; without it a value gives all that it has, and a matplotlib figure
    PNG. A dict whose keys are all MIME types is a bundle already.
    """
    call = call_that_asked("display")
    for value in values:
        if call is None:
            print(guarded_repr(value, 1024 * 1024))
        else:
            show(call, value, include)


def show(call: object, value: Any, include: list | tuple | None = None) -> None:
    """Sends a value's bundle to the client of a call."""
    data, binary, parts = split(mime_bundle(value, include))
    emit(call, "display", data, tuple(parts), binary)


def split(bundle: dict) -> tuple[dict, list, list]:
    """A bundle as it travels: its text and JSON forms, the names of its binary ones, and their bytes."""
    data, binary, parts = {}, [], []
    for mime, form in bundle.items():
        if isinstance(form, bytes):
            binary.append(mime)
            parts.append(form)
        else:
            data[mime] = form
    return data, binary, parts


def mime_bundle(value: Any, include: list | tuple | None = None) -> dict:
    """All forms of a value by MIME type: strings, bytes, or for JSON types plain data. `text/plain` is always there."""
    if type(value) is dict and value and all(_is_mime_type(key) for key in value):
        forms = dict(value)
    else:
        forms = _figure_forms(value, include)
        if forms is None:
            forms = {} if isinstance(value, type) else _forms_of(value, include)
    bundle = {}
    for mime, form in forms.items():
        if form is None or (include is not None and mime not in include):
            continue
        form = _checked(mime, form)
        if form is not None:
            bundle[mime] = form
    bundle.setdefault("text/plain", guarded_repr(value, 1024 * 1024))
    return bundle


def _is_mime_type(key: object) -> bool:
    return type(key) is str and "/" in key and not any(character.isspace() for character in key)


def _forms_of(value: Any, include: list | tuple | None) -> dict:
    kind = type(value)
    forms = {}
    for mime, name in _METHODS:
        method = getattr(kind, name, None)
        if method is not None and (include is None or mime in include):
            forms[mime] = _first(_guarded(name, method, value))
    method = getattr(kind, "_repr_mimebundle_", None)
    if method is not None:
        given = _first(_guarded("_repr_mimebundle_", method, value, include=include, exclude=None))
        if isinstance(given, dict):
            # What the class says as a whole wins over its single methods.
            forms.update(given)
    return forms


def _guarded(name: str, method: Any, value: Any, **keywords: Any) -> Any:
    try:
        return method(value, **keywords)
    except Exception as error:
        message = guarded_repr(error)
        print(f"beep_host: cannot show {type(value).__name__}: {name} raised {message}", file=sys.stderr)
        return None


def _first(form: Any) -> Any:
    """A form without the metadata that may come with it."""
    return form[0] if isinstance(form, tuple) and len(form) == 2 else form


def _checked(mime: str, form: Any) -> Any:
    """A form as it can travel; None when it is none."""
    if mime in _BINARY:
        if isinstance(form, str):
            from binascii import a2b_base64

            try:
                return a2b_base64(form)
            except ValueError:
                return None
        return bytes(form) if isinstance(form, (bytes, bytearray, memoryview)) else None
    if isinstance(form, str):
        return str.__str__(form)
    if isinstance(form, (bytes, bytearray)):
        return bytes(form)
    if not mime.endswith("json"):
        return None
    import json

    try:
        json.dumps(form, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return form


def _figure_forms(value: Any, include: list | tuple | None) -> dict | None:
    """A matplotlib figure, drawn; None for everything else. The library is never imported for that."""
    module = sys.modules.get("matplotlib.figure")
    figure_class = getattr(module, "Figure", None)
    if figure_class is None or not isinstance(value, figure_class):
        return None
    from io import BytesIO

    forms: dict = {}
    for mime, name in _FIGURE_FORMATS.items():
        if mime not in (include or ("image/png",)):
            continue
        target = BytesIO()
        # As notebooks do: cut to what is drawn.
        value.savefig(target, format=name, bbox_inches="tight")
        forms[mime] = target.getvalue().decode() if mime == "image/svg+xml" else target.getvalue()
    return forms
