"""`input()` and `sys.stdin` that ask the client of the running call, when it can be asked; else they find the end."""

from __future__ import annotations

import builtins
import sys
from io import TextIOBase

from beep_host.callbacks import INPUT_FUNCTION, HostFunction
from beep_host.output import call_that_asked, output_of


class CallInput(TextIOBase):
    """`sys.stdin`. `real` is what it stands before: an empty file."""

    mode = "r"
    name = "<stdin>"
    encoding = "utf-8"
    errors = "strict"

    def __init__(self, real: object) -> None:
        super().__init__()
        self._real = real

    def readline(self, size: int | None = -1) -> str:
        """One line of the client, with its end; empty at the end of the input."""
        call = call_that_asked("input")
        if call is None:
            return self._real.readline(-1 if size is None else size)
        output = output_of(call)
        text, output.input_rest = output.input_rest, ""
        if not text:
            answer = _ask(call, "")
            if answer is None:
                return ""
            text = answer + "\n"
        if size is not None and 0 <= size < len(text):
            output.input_rest = text[size:]
            text = text[:size]
        return text

    def read(self, size: int | None = -1) -> str:
        """Lines of the client until it says that there are no more, or so many characters."""
        pieces = []
        left = -1 if size is None else size
        while left != 0:
            line = self.readline(left)
            if not line:
                break
            pieces.append(line)
            if left > 0:
                left -= len(line)
        return "".join(pieces)

    def __next__(self) -> str:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def fileno(self) -> int:
        """The descriptor of the empty file, which is what a subprocess is given."""
        return self._real.fileno()

    def isatty(self) -> bool:
        """Never: a program answers."""
        return False

    def readable(self) -> bool:
        """True."""
        return True

    def close(self) -> None:
        """Does nothing: the stream lives as long as the server."""

    @property
    def buffer(self) -> object:
        """The empty file's bytes."""
        return self._real.buffer


def _ask(call: object, prompt: str) -> str | None:
    answer = HostFunction(call.session, INPUT_FUNCTION, False)(prompt)
    if answer is None or type(answer) is str:
        return answer
    raise TypeError(f"onInput must give a string or null, not {type(answer).__name__}")


def install() -> None:
    """Puts the stream and the function in place."""
    own = sys.stdin = CallInput(sys.__stdin__)
    ask_terminal = builtins.input

    def ask(prompt: object = "", /) -> str:
        # Whoever has put another stream in the place of ours is asking that one.
        call = call_that_asked("input") if sys.stdin is own else None
        if call is None:
            return ask_terminal(prompt)
        sys.audit("builtins.input", prompt)
        sys.stdout.flush()
        answer = _ask(call, str(prompt))
        if answer is None:
            raise EOFError("EOF when reading a line")
        sys.audit("builtins.input/result", answer)
        return answer

    ask.__name__ = ask.__qualname__ = "input"
    ask.__doc__ = ask_terminal.__doc__
    ask.__module__ = "builtins"
    builtins.input = ask
