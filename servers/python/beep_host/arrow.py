"""Tables as an Arrow IPC stream (`result: "arrow"`): pandas, polars, pyarrow, and whatever speaks Arrow's C
stream.
"""

from __future__ import annotations

from beep_host.errors import ConversionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any


def arrow_stream(table: Any) -> Any:
    """The bytes of an Arrow IPC stream of `table`; raises `ConversionError` for what is no table."""
    kind = type(table)
    if kind.__module__.partition(".")[0] == "polars":
        frame = _polars_frame(table)
        if frame is not None:
            from io import BytesIO

            sink = BytesIO()
            frame.write_ipc_stream(sink)
            return sink.getvalue()
    return _by_pyarrow(table)


def _polars_frame(table: Any) -> Any:
    """A DataFrame of a polars object: frames, lazy frames and series; None for anything else of polars."""
    if hasattr(table, "write_ipc_stream"):
        return table
    if hasattr(table, "collect"):
        return table.collect()
    return table.to_frame() if hasattr(table, "to_frame") else None


def _by_pyarrow(value: Any) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise ConversionError(
            f"Cannot send a {type(value).__name__} as Arrow: pyarrow is not installed in this environment",
            hint="Install pyarrow in the environment of the server; polars frames need no more than polars.",
        ) from None
    try:
        table = _arrow_table(value, pyarrow)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise ConversionError(f"Cannot send a {type(value).__name__} as Arrow: {error!s:.300}") from error
    if table is None:
        raise ConversionError(
            f"Cannot send a {type(value).__name__} as Arrow: it is no table",
            hint="Tables of pandas, polars and pyarrow, and objects with __arrow_c_stream__ can be sent.",
        )
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        if isinstance(table, pyarrow.RecordBatch):
            writer.write_batch(table)
        else:
            writer.write_table(table)
    # pyarrow calls its bytes signed.
    return memoryview(sink.getvalue()).cast("B")


def _arrow_table(value: Any, pyarrow: Any) -> Any:
    if isinstance(value, (pyarrow.Table, pyarrow.RecordBatch)):
        return value
    if isinstance(value, pyarrow.RecordBatchReader):
        return value.read_all()
    if type(value).__module__.partition(".")[0] == "pandas":
        frame = value.to_frame() if hasattr(value, "to_frame") else value
        return pyarrow.Table.from_pandas(frame)
    if hasattr(type(value), "__arrow_c_stream__"):
        return pyarrow.RecordBatchReader.from_stream(value).read_all()
    return None
