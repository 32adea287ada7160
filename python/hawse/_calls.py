# SPDX-License-Identifier: Apache-2.0
"""Calls into a user's node, and what it gives back: one path for the runtime's host and for hawse.testing.

A node may give nothing, a frame, several, a generator, a coroutine or an async generator; each ends here as emit(port, frame) calls in order.
Async nodes have one event loop. It runs while a call is in hand, so calls stay one after the other, like those of any other node.
"""
from __future__ import annotations

from hawse._frames import Bytes, Frame, Json, Tensor, Text
from hawse._node import EndOfStream, Log, Node
from hawse._outputs import Output, Outputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Generator, Iterator, Sequence

    Emit = Callable[[str, Frame], None]

_ASYNC = 0x80 | 0x200  # CO_COROUTINE | CO_ASYNC_GENERATOR
_KEYWORDS = 0x08  # CO_VARKEYWORDS
_END = object()


def make_node(node_class: type[Node], id: str, outputs: Outputs, default: str, log: Log, progress: Callable[..., None]) -> Node:
    """The attributes are there before the class's own __init__ runs, whether or not that calls ours."""
    if not (isinstance(node_class, type) and issubclass(node_class, Node)):
        raise TypeError(f"{getattr(node_class, '__name__', node_class)!s} is not a class derived from hawse.Node")
    node = node_class.__new__(node_class)
    node.id, node.log, node.progress = id, log, progress
    node.outputs, node.output = outputs, outputs[default]
    node.__init__()  # type: ignore[misc]
    return node


def declared_outputs(node_class: type[Node]) -> list[str]:
    """Names of the class's outputs, the default one first."""
    return list(getattr(node_class, "outputs", ())) or ["out"]


class Calls:
    """Drives one node object."""

    def __init__(self, node: Node, inputs: Sequence[str], types: dict[str, tuple[str, ...]], emit: Emit, matched: bool = False) -> None:
        """inputs: names of the connected inputs. types: connected output to the frame types it may carry, () for any.

        matched: process() gets a frame of every input at once.
        """
        self.node = node
        self._emit = emit
        self._types = types
        self._declared = set(type(node).outputs)
        self._ports = self._declared | set(types) | {"out"}
        self._default = node.output.name
        self._loop: Any = None
        if any(_code_flags(getattr(node, name, None)) & _ASYNC for name in ("setup", "process", "produce", "flushed", "finish", "close")):
            self._event_loop()
        self.is_source = not hasattr(node, "process") and hasattr(node, "produce")
        if not self.is_source and not hasattr(node, "process"):
            raise TypeError(f"{type(node).__name__} has neither process() nor produce()")
        # process[i](frame) calls the node with a frame of inputs[i]; where they are matched, process[0](frames) with one of each
        self._inputs = list(type(node).inputs) or list(inputs)
        self.process = [] if self.is_source else [self.matched(inputs)] if matched else [self.caller(port) for port in inputs]

    # ---- calls ----------------------------------------------------------------------------------------------------------

    def caller(self, port: str | None = None) -> Callable[[Any], Any]:
        """process() with a frame of that input; None: of the first one."""
        return _caller(self.node.process, self._inputs, port)

    @property
    def first_input(self) -> str:
        return (_Parameters(self.node.process).names or self._inputs or ["in"])[0]

    def matched(self, ports: Sequence[str]) -> Callable[[list[Any]], Any]:
        """process() with one frame of each of these inputs."""
        return _matched_caller(self.node.process, list(ports))

    def setup(self, params: dict[str, Any]) -> None:
        hints = getattr(self.node.setup, "__annotations__", {})
        self._await(self.node.setup(**{name: _as_path(value) if _wants_path(hints.get(name)) else value for name, value in params.items()}))

    def deliver(self, result: Any) -> None:
        """Emits all that a call gave. A frame is emitted before the next one of the same generator is asked for."""
        if result is None:
            return
        if isinstance(result, Frame):
            self._give(self._default, result)
        elif hasattr(result, "__next__"):
            for item in result:
                self._item(item)
                if self.node._interrupted():
                    result.close()
                    return
        elif hasattr(result, "__await__"):
            self.deliver(self._await(result))
        elif hasattr(result, "__anext__"):
            for item in self._steps(result):
                self._item(item)
                if self.node._interrupted():
                    return
        elif isinstance(result, list) or (isinstance(result, tuple) and not self._names_port(result)):
            for item in result:
                self._item(item)
        else:
            self._item(result)

    def produce(self) -> Generator[None, None, None]:
        """Runs a source: a step is one frame or one call. Ends with the stream; closing it ends the node's own generator, too."""
        while True:
            try:
                result = self.node.produce()
                if hasattr(result, "__await__"):
                    result = self._await(result)
                items: Any = self._steps(result) if hasattr(result, "__anext__") else result if hasattr(result, "__next__") else None
                if items is None:
                    self.deliver(result)
                    yield
                    continue
                try:
                    for item in items:
                        self._item(item)
                        yield
                finally:
                    items.close()
                return
            except EndOfStream:
                return

    def flushed(self, port: str) -> bool:
        """Whether the flush is to be passed on."""
        return self._await(self.node.flushed(port)) is not False

    def finish(self) -> None:
        self.deliver(self.node.finish())

    def close(self) -> None:
        try:
            self._await(self.node.close())
        finally:
            if self._loop is not None:
                loop, self._loop = self._loop, None
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()

    # ---- what they give ----------------------------------------------------------------------------------------------------

    def _names_port(self, result: tuple[Any, ...]) -> bool:
        return len(result) == 2 and isinstance(result[0], str) and (result[0] in self._ports or isinstance(result[1], Frame))

    def _item(self, item: Any) -> None:
        if isinstance(item, Frame):
            self._give(self._default, item)
        elif isinstance(item, tuple) and self._names_port(item):
            self._give(*item)
        elif isinstance(item, (list, tuple)):
            for inner in item:
                self._item(inner)
        elif item is not None:
            self._give(self._default, item)

    def _give(self, port: str, frame: Any) -> None:
        types = self._types.get(port, ())
        if not isinstance(frame, Frame):
            if frame is None:
                return
            frame = as_frame(frame, types)
        if types and frame.type not in types:
            raise TypeError(f"output {port!r} carries {' or '.join(types)}, not {frame.type}")
        if self._declared and port not in self._declared:
            raise ValueError(f"{type(self.node).__name__} has no output {port!r}; its outputs are {', '.join(sorted(self._declared))}")
        self._emit(port, frame)

    # ---- async ---------------------------------------------------------------------------------------------------------------

    def _event_loop(self) -> Any:
        if self._loop is None:
            import asyncio
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    def _await(self, result: Any) -> Any:
        return self._event_loop().run_until_complete(_whole(result)) if hasattr(result, "__await__") else result

    def _steps(self, generator: Any) -> Iterator[Any]:
        loop = self._event_loop()
        try:
            while True:
                item = loop.run_until_complete(_step(generator))
                if item is _END:
                    return
                yield item
        finally:
            loop.run_until_complete(generator.aclose())


def _wants_path(hint: Any) -> bool:
    """A parameter annotated with Path (as itself, as text, optional) and not with str."""
    text = getattr(hint, "__name__", None) or str(hint)
    return "Path" in text and "str" not in text


def _as_path(value: Any) -> Any:
    from pathlib import Path
    return Path(value) if isinstance(value, str) else value


async def _whole(awaitable: Any) -> Any:
    return await awaitable


async def _step(generator: Any) -> Any:
    try:
        return await generator.__anext__()
    except StopAsyncIteration:
        return _END


def _code_flags(function: Any) -> int:
    code = getattr(function, "__code__", None)
    return code.co_flags if code is not None else 0


class _Parameters:
    """What a bound process() takes: names in order, how many of them by position, those with a default, whether any keyword is taken."""

    def __init__(self, function: Any) -> None:
        code = getattr(function, "__code__", None)
        if code is None or hasattr(function, "__wrapped__"):
            import inspect
            found = list(inspect.signature(function).parameters.values())
            self.names = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
            self.positional = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in found)
            self.defaults = {p.name for p in found if p.default is not p.empty}
            self.any_keyword = any(p.kind is p.VAR_KEYWORD for p in found)
            return
        names = list(code.co_varnames[: code.co_argcount])
        defaults = set(names[len(names) - len(function.__defaults__ or ()) :])
        skipped = 1 if hasattr(function, "__self__") else 0
        keywords = list(code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount])
        self.names = names[skipped:] + keywords
        self.positional = len(names) - skipped
        self.defaults = defaults | set(function.__kwdefaults__ or {})
        self.any_keyword = bool(code.co_flags & _KEYWORDS)


def _caller(process: Callable[..., Any], ports: list[str], port: str | None) -> Callable[[Any], Any]:
    """process with one frame. One parameter: it takes the frames of every port. Several: one a port, None for those that have no frame."""
    takes = _Parameters(process)
    if len(takes.names) <= takes.positional <= 1 and not (takes.any_keyword and not takes.names):
        return process
    if port is None:
        port = (takes.names or ports)[0]
    if port not in takes.names and not takes.any_keyword:
        raise TypeError(f"process() has no parameter for the input {port!r}; it has {', '.join(takes.names)}")
    others: dict[str, Any] = {name: None for name in takes.names if name != port and name not in takes.defaults}

    def call(frame: Any) -> Any:
        return process(**{port: frame}, **others)

    return call


def _matched_caller(process: Callable[..., Any], ports: list[str]) -> Callable[[list[Any]], Any]:
    """process with a frame for each of `ports`, None for further parameters without a default."""
    takes = _Parameters(process)
    missing = [port for port in ports if port not in takes.names]
    if missing and not takes.any_keyword:
        raise TypeError(f"inputs are matched, and process() has no parameter for {', '.join(map(repr, missing))}; it has {', '.join(takes.names) or 'none'}")
    others: dict[str, Any] = {name: None for name in takes.names if name not in ports and name not in takes.defaults}

    def call(frames: list[Any]) -> Any:
        return process(**dict(zip(ports, frames)), **others)

    return call


def as_frame(value: Any, types: tuple[str, ...]) -> Frame:
    """A plain value as a frame: text or JSON by what the port carries, bytes, arrays."""
    if isinstance(value, str):
        return Json(value) if types and "text" not in types and "json" in types else Text(value)
    if isinstance(value, (dict, bool, int, float)):
        return Json(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Bytes(value)
    if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        return Tensor(value)
    raise TypeError(f"a node gives frames, str, dict, bytes or arrays, not {type(value).__name__}")
