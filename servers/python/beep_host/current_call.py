"""Which call the code that runs just now belongs to: one per thread and task, inherited by those that it starts."""

from __future__ import annotations

from contextvars import ContextVar

current_call: ContextVar = ContextVar("beep_host_call")
