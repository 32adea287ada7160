# SPDX-License-Identifier: Apache-2.0
"""Run a node without a runtime: feed it frames, collect what it gives.

    from hawse.testing import run

    def test_loud():
        out, = run(Loud, [hawse.Audio(samples=numpy.ones((160, 1), "float32"), rate=16000)], params={"gain": 2})
        assert out.samples.max() == 2

The node is called exactly as the runtime's host calls it, and gets its frames read-only, as it would there.
"""
from __future__ import annotations

from hawse import _calls
from hawse._node import Log
from hawse._outputs import Output, Outputs, build_locally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Generator, Iterable, Optional

    from hawse._frames import Frame
    from hawse._node import Node

__all__ = ["Harness", "run"]


class Harness:
    """One node under test. As a context manager it is set up at the start and closed at the end.

        with Harness(Speech, threshold=0.4) as speech:
            given = speech.send(frame)
            given += speech.finish()

    What it gives comes as a list of frames, in order; of a class that declares more than one output, as (port, frame).
    `flushes` has the names of the outputs that it flushed. `log` has the node's log lines as (level, text).
    """

    def __init__(self, node_class: type[Node], /, *, node_id: str = "test", **params: Any) -> None:
        self.log: list[tuple[str, str]] = []
        self._params = params
        self._given: list[Any] = []
        self._current: Frame | None = None
        self._received = 0
        self._sent: dict[str, int] = {}
        ports = _calls.declared_outputs(node_class)
        self._several = len(ports) > 1
        self.flushes: list[str] = []
        outputs = Outputs({name: Output(name, self._build, self._flusher(name)) for name in ports})
        log = Log(lambda level, text: self.log.append((level, text)), "debug")
        self.node = _calls.make_node(node_class, node_id, outputs, ports[0], log, lambda *_, **__: None)
        self._calls = _calls.Calls(self.node, [], {name: () for name in ports}, self._emit)
        self._steps: Generator[None, None, None] | None = None

    def __enter__(self) -> Harness:
        self.setup()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def setup(self) -> None:
        """Calls setup() with the harness's params."""
        self._calls.setup(self._params)

    def send(self, frame: Any, port: str | None = None) -> list[Any]:
        """Calls process() with a frame for `port` (the first one if not given). Its result."""
        self._received += 1
        self._current = current = _as_received(frame, self._received)
        self._calls.deliver(self._calls.caller(port)(current))
        return self._take()

    def _flusher(self, name: str) -> Callable[[], None]:
        return lambda: self.flushes.append(name)

    def flush(self, port: str | None = None) -> bool:
        """A flush comes into that input (the first one if not given): calls flushed(). Whether it would be passed on."""
        return self._calls.flushed(port or self._calls.first_input)

    def send_matched(self, **frames: Any) -> list[Any]:
        """Calls process() with these frames, by input, at once: as in a pipeline whose manifest matches the node's inputs. Its result."""
        received = {}
        for port, frame in frames.items():
            self._received += 1
            received[port] = _as_received(frame, self._received)
        self._current = min(received.values(), key=lambda frame: frame.timestamp_ns)
        self._calls.deliver(self._calls.matched(list(received))(list(received.values())))
        return self._take()

    def produce(self, limit: int | None = None) -> list[Any]:
        """Runs a source: to its end, or for `limit` steps (a step is a call, or a frame of its generator)."""
        if self._steps is None:
            self._steps = self._calls.produce()
        count = 0
        while limit is None or count < limit:
            if next(self._steps, self) is self:
                break
            count += 1
        return self._take()

    def finish(self) -> list[Any]:
        """The end of the stream. What finish() gives."""
        if self._steps is not None:
            self._steps.close()
        self._calls.finish()
        return self._take()

    def close(self) -> None:
        self._calls.close()

    def _take(self) -> list[Any]:
        given, self._given = self._given, []
        return given

    def _build(self, spec: Any) -> Any:
        frame = build_locally(spec)
        if spec[7] is None and self._current is not None:
            frame.timestamp_ns = self._current.timestamp_ns
        return frame

    def _emit(self, port: str, frame: Frame) -> None:
        if frame is self._current:
            frame = _as_received(frame, 0)
        if self._current is not None:
            if not frame._has_timestamp:
                frame.timestamp_ns = self._current.timestamp_ns
            if not frame.trace_id:
                frame.trace_id = self._current.trace_id
        self._sent[port] = self._sent.get(port, 0) + 1
        frame._sequence = self._sent[port]
        self._given.append((port, frame) if self._several else frame)


def run(node_class: type[Node], frames: Iterable[Any] = (), *, params: dict[str, Any] | None = None, port: Optional[str] = None,
        limit: int | None = None) -> list[Any]:
    """A node's whole life: setup, each of `frames` (frames, or (port, frame)), finish, close. A source runs to its end, or for `limit` steps.

    All that it gave, as Harness gives it.
    """
    harness = Harness(node_class, **(params or {}))
    with harness:
        given = []
        for item in frames:
            where, frame = item if isinstance(item, tuple) else (port, item)
            given += harness.send(frame, where)
        if hasattr(harness.node, "produce") and not hasattr(harness.node, "process"):
            given += harness.produce(limit)
        return given + harness.finish()


def _as_received(frame: Frame, sequence: int) -> Frame:
    """The same memory as a frame that a node receives: read-only, numbered."""
    received = frame.__class__.__new__(frame.__class__)
    received._own(frame._type, frame._dtype, frame._format, frame._rate_numerator, frame._rate_denominator, frame.shape, frame.nbytes,
                  frame.timestamp_ns, frame.duration_ns, frame.trace_id, frame._memory(), frame._copies)
    received._sequence = sequence or frame.sequence
    name = {"audio": "samples", "video": "pixels", "image": "pixels", "tensor": "array", "bytes": "data"}.get(frame.type)
    if name is not None:
        view = getattr(frame, name)
        if hasattr(view, "setflags"):
            view = view.view()
            view.setflags(write=False)
        else:
            view = view.toreadonly()
        received._value = view
    return received
