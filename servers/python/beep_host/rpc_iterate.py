"""`Iterate`: the items of an object as a stream. The next few are taken when the last ones have been sent."""

from __future__ import annotations

from _thread import start_new_thread

from beep_host import operations
from beep_host.errors import ArgumentError
from beep_host.execution import Call
from beep_host.rpc_calls import _options
from beep_host.rpc_sessions import stop
from beep_host.rpc_status import status_of
from beep_host.rpc_values import to_message

_MOST = 64


def iterate(server: object, client: object, request: dict, answer: object, next_id: object) -> object:
    """Begins; gives a function that ends the iteration early."""
    options, given = _options(request.get("options") or {})
    if given.get("encoding"):
        raise ArgumentError("Cannot iterate with an encoding: there is but one")
    mode = options.pop("result", "auto")
    stepper = _Stepper(server, client, answer, {"options": options, "mode": mode, "next_id": next_id})
    stepper.begin(request.get("handle_id", 0))
    return stepper.cancel


class _Stepper:
    """Runs one call after the other: the beginning, the batches, the close."""

    def __init__(self, server: object, client: object, answer: object, how: dict) -> None:
        self._server = server
        self._client = client
        self._answer = answer
        self._how = how
        self._iteration: object | None = None
        self._call: Call | None = None
        self._is_cancelled = False

    def begin(self, handle_id: int) -> None:
        self._start("iterate_begin", [handle_id])

    def cancel(self) -> None:
        """The client has gone, or its deadline passed: the iterator is told."""
        self._is_cancelled = True
        call = self._call
        if call is not None and not call.finished:
            stop(self._server, call)
        else:
            self._close()

    def _start(self, operation: str, args: list) -> None:
        call = Call(self._how["next_id"](), operation, args, [], dict(self._how["options"]), self)
        self._call = call
        self._client.start(call)

    def _close(self) -> None:
        iteration, self._iteration = self._iteration, None
        if iteration is not None:
            self._start("iterate_close", [iteration])

    # What the calls say.

    def finish(self, call: Call, value: object) -> None:
        """Goes on with the next step."""
        if call.operation == "iterate_close":
            return
        if call.operation == "iterate_begin":
            self._iteration = value
            self._go_on()
        elif self._server.event_loop.is_current:
            # The loop waits for no client.
            start_new_thread(self._deliver, (call, value))
        else:
            self._deliver(call, value)

    def _deliver(self, call: Call, batch: list) -> None:
        try:
            items = [to_message(item, self._how["mode"], call.session) for item in batch[1:]]
        except Exception as error:
            self.fail(call, error)
            return
        if items:
            self._answer.send({"items": items})
        if batch[0]:
            self._iteration = None
            self._answer.end(None)
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._is_cancelled:
            self._close()
            return
        self._start("iterate_take", [self._iteration, _MOST])

    def fail(self, call: Call, error: BaseException) -> None:
        """Ends the stream with the error, and the iterator."""
        if call.operation == "iterate_close":
            return
        self._answer.end(status_of(error))
        self._close()

    def event(self, *_: object, **__: object) -> bool:
        """Nothing: the stream is of items."""
        return True


def _begin(call: Call, handle_id: int) -> object:
    from beep_host.iteration import begin

    return begin(call.session.handles.get(handle_id))


def _take(call: Call, iteration: object, most: int) -> object:
    return iteration.take(most)


def _close(call: Call, iteration: object) -> object:
    return iteration.close()


operations.OPERATIONS.update(iterate_begin=_begin, iterate_take=_take, iterate_close=_close)
