# SPDX-License-Identifier: Apache-2.0
"""Embed a pipeline in a program: start it, send frames into its inputs, receive from its outputs.

    with hawse.Pipeline("captions.yaml", set={"model": "tiny"}).start() as session:
        session.send("mic", hawse.Audio(samples=array, rate=16000))
        session.end("mic")
        for text in session:
            print(text)

Mechanism. The pipeline runs as a child, `hawse run FILE --attach-fd N`; over that socket this program is the pipeline's node "application",
    whose ports are the manifest's `inputs:` and `outputs:`. Frames go through shared memory like between any two nodes.
Threading. Any thread may use a session; calls that wait let the others in.
"""
from __future__ import annotations

import collections
import os
import signal
import subprocess
import sys
import threading
from time import monotonic

from hawse import _plane
from hawse._calls import as_frame
from hawse._frames import Frame
from hawse._json import loads
from hawse._messages import Control
from hawse._outputs import Output
from hawse._ports import Gone, Member, OutPort

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, AsyncIterator, Callable, Iterator, Mapping

    Set = Mapping[str, Any]

__all__ = ["Pipeline", "PipelineError", "Session"]

_KEPT_EVENTS = 4096
_KEPT_ERROR_BYTES = 64 << 10
_KILL_S = 20  # a run that was told to end at once, and still has containers to remove, gets this long


class PipelineError(Exception):
    """The pipeline could not start, or failed: the text that `hawse run` gives. `exit_code` is its exit code (docs/exit-codes.md)."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def find_command() -> str:
    """The `hawse` command: $HAWSE, the one that this package came with, the one on PATH. Raises FileNotFoundError."""
    named = os.environ.get("HAWSE")
    if named:
        return named
    root = os.path.dirname(os.path.abspath(__file__))
    for _ in range(4):  # PREFIX/lib/hawse/python/hawse
        root = os.path.dirname(root)
    import shutil
    for path in (os.path.join(root, "hawse"), os.path.join(root, "bin", "hawse"), shutil.which("hawse")):
        if path and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError("the command `hawse` is not on PATH and not beside this package; name it in the environment variable HAWSE")


class Pipeline:
    """A pipeline file with the values of its variables."""

    def __init__(self, file: str | os.PathLike[str], set: Set | None = None, executor: str | Mapping[str, str] | None = None,
                 log_level: str = "info") -> None:
        """set: variables, as --set. executor: "process" for every node that can, or {"node": "process"}, as --executor."""
        self.file = os.fspath(file)
        self._arguments = [argument for name, value in (set or {}).items() for argument in ("--set", f"{name}={_as_text(value)}")]
        kinds = [executor] if isinstance(executor, str) else [f"{node}={kind}" for node, kind in (executor or {}).items()]
        self._arguments += [argument for kind in kinds for argument in ("--executor", kind)]
        self._arguments += ["--log-level", log_level]

    def start(self, on_event: Callable[[dict[str, Any]], None] | None = None, on_flush: Callable[[str], None] | None = None) -> Session:
        """Starts it and returns when every node is ready. on_event: called from a thread of the session with each event (docs/events.md).

        on_flush: called with an output's name, by the thread that receives, where a node has flushed what leads to it: what had come and wasn't received
        yet is dropped. It must not use the session.

        Raises PipelineError with the run's own text where it can't start, FileNotFoundError where there is no `hawse` command.
        """
        return Session([find_command(), "run", self.file, "--json", *self._arguments], on_event, on_flush)

    def run(self) -> None:
        """Runs it to its end, for a pipeline without inputs and outputs. Raises PipelineError if it fails."""
        with self.start() as session:
            session.wait(check=True)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Child:
    """The `hawse run` process and a thread that reads its events and its errors."""

    def __init__(self, command: list[str], attach: int, on_event: Callable[[dict[str, Any]], None] | None) -> None:
        self.events: collections.deque[dict[str, Any]] = collections.deque(maxlen=_KEPT_EVENTS)
        self.running = threading.Event()
        self._on_event = on_event
        self._error = bytearray()
        # A session of its own: Ctrl-C is this program's, which then stops the run.
        self.process = subprocess.Popen(command + ["--attach-fd", str(attach)], pass_fds=[attach], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=True)
        self._readers = [threading.Thread(target=read, name="hawse-session", daemon=True) for read in (self._read_events, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                event = loads(line.decode(errors="replace"))
            except ValueError:
                continue
            if event.get("event") == "session" and event.get("state") == "running":
                self.running.set()
            self.events.append(event)
            if self._on_event is not None:
                self._on_event(event)
        self.running.set()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._error += line
            del self._error[:-_KEPT_ERROR_BYTES]

    def wait(self, timeout: float | None = None) -> int:
        """Exit code; everything it wrote has been read. Killed after `timeout` seconds."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for reader in self._readers:
            reader.join(_KILL_S)  # at the end of both streams: at once, unless something it started still has them open
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None and not any(reader.is_alive() for reader in self._readers):
                stream.close()
        return code if code >= 0 else 128 - code

    def error(self) -> str:
        text = self._error.decode(errors="replace").strip()
        if text:
            return text
        failures = [str(event.get("text", "")) for event in self.events if event.get("event") == "failure"]
        return failures[-1] if failures else "the run ended early"

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)


class _Turn:
    """A lock whose holder is woken when somebody else wants it; whoever waits comes next."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._gate = threading.Lock()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._gate:
            if not self._lock.acquire(blocking=False):
                self._wake()
                self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class _Cancel:
    """Tells a waiting receive() that nobody wants its frame any more."""

    def __init__(self) -> None:
        self.called = False


class Session:
    """A running pipeline. Made by Pipeline.start(); leave it through `with`, wait() or kill().

    As a context manager it is stopped in order at the end (at once, if an exception leaves the block), and a run that failed raises PipelineError.
    """

    def __init__(self, command: list[str], on_event: Callable[[dict[str, Any]], None] | None = None,
                 on_flush: Callable[[str], None] | None = None) -> None:
        import socket
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = Control(ours.detach())
        try:
            self._child = _Child(command, theirs.fileno(), on_event)
        except BaseException:
            self._control.hang_up()
            raise
        finally:
            theirs.close()
        self._member = Member(self._control, exit_on_hangup=False)
        self._waiting: dict[int, collections.deque[Frame]] = {}
        self._outputs: dict[str, Output] = {}
        self._ports: dict[str, OutPort] = {}
        self._on_flush = on_flush
        self._exit_code: int | None = None
        self._ending = threading.Lock()
        self._stopped = False
        self._attached = False
        try:
            self._begin()
        except Gone:
            code = self._end()
            if code != 0:  # else a short run without inputs and outputs that is over already
                raise PipelineError(self._child.error(), code) from None
        except BaseException:
            self.kill()
            raise

    def _begin(self) -> None:
        """Greets the run. A pipeline without inputs and outputs never answers: its events say when it runs."""
        from hawse import __version__
        version = ".".join(map(str, sys.version_info[:3]))
        member, control = self._member, self._control
        control.send({"type": "hello", "protocol": 1, "pid": os.getpid(), "sdk": __version__, "language": f"python {version}"})
        import select
        while not member.begun:
            readable, _, _ = select.select([control.fileno()], [], [], 0.02)
            if readable:
                member.wait_message()
            elif self._child.running.is_set() or self._child.process.poll() is not None:
                self._child.running.wait()
                if self._child.process.poll() is not None and not select.select([control.fileno()], [], [], 0)[0]:
                    raise Gone
                return
        control.send({"type": "ready", "phases": {"import_ns": 0, "setup_ns": 0}})
        while not member.started:
            member.wait_message()
        self._attached = True
        self._turn = _Turn(member.loop.interrupt)
        self._ports = {port.name: port for port in member.outputs}
        self._outputs = {port.name: Output(port.name, self._builder(port)) for port in member.outputs}
        self._waiting = {index: collections.deque() for index in range(len(member.input_names))}

    # ---- sending -------------------------------------------------------------------------------------------------------------

    def _port(self, name: str) -> OutPort:
        port = self._ports.get(name)
        if port is None:
            raise KeyError(f"the pipeline has no input {name!r}; it has {', '.join(self._ports) or 'none'}")
        return port

    def _builder(self, port: OutPort) -> Any:
        def build(spec: Any) -> _plane.Frame:
            self._check()
            with self._turn:
                try:
                    return port.build(spec)
                except Gone:
                    pass
            raise self._failure()

        return build

    def input(self, name: str) -> Output:
        """The pipeline's input of that name, to build frames in place: session.input("mic").audio(samples=512, rate=16000)."""
        self._port(name)
        return self._outputs[name]

    def send(self, name: str, frame: Any, timeout: float | None = None) -> None:
        """Sends a frame (or str, dict, bytes, an array) into an input. Waits while that edge is full, taking in what comes out meanwhile.

        Raises KeyError for an input that isn't there, TimeoutError after `timeout` seconds, PipelineError where the run has ended.
        """
        self._send(name, frame, timeout, None)

    def _send(self, name: str, frame: Any, timeout: float | None, cancel: _Cancel | None) -> None:
        port = self._port(name)
        if not isinstance(frame, Frame):
            frame = as_frame(frame, ())
        until = None if timeout is None else monotonic() + timeout
        while True:
            self._check()
            try:
                with self._turn:
                    status = port.native.send(frame)
                    if not status or (cancel is not None and cancel.called):
                        return
                    if status == _plane.FULL:
                        left = -1 if until is None else max(0, int((until - monotonic()) * 1e9))
                        if left == 0:
                            raise TimeoutError(f"no room in input {name!r} for {timeout} s")
                        self._member.loop.wait_room(port.native, left, True)
                        gone = not self._take_in()
                    else:
                        port.make_way(status, frame.nbytes)
                        gone = False
            except Gone:
                gone = True
            if gone:
                raise self._failure()

    def flush(self, name: str) -> None:
        """What was sent into that input and not yet taken is void, and the next that its readers hear of is the flush."""
        port = self._port(name)
        self._check()
        with self._turn:
            port.native.flush()

    def end(self, name: str | None = None) -> None:
        """The end of an input's stream; of all inputs if none is named."""
        ports = list(self._ports.values()) if name is None else [self._port(name)]
        if not ports or self._exit_code is not None:
            return
        with self._turn:
            for port in ports:
                port.native.end(1)

    # ---- receiving -------------------------------------------------------------------------------------------------------------

    def _index(self, name: str | None) -> int:
        names = self._member.input_names
        if name is None and len(names) == 1:
            return 0
        if name not in names:
            raise KeyError(f"the pipeline has no output {name!r}; it has {', '.join(names) or 'none'}")
        return names.index(name)

    def receive(self, name: str | None = None, timeout: float | None = None) -> Any:
        """The next frame of an output (of the only one, if none is named); None at the end of the stream.

        Raises TimeoutError after `timeout` seconds, PipelineError where the run failed before the stream's end.
        """
        return self._receive([self._index(name)], timeout, None)[1]

    def _receive(self, indexes: list[int], timeout: float | None, cancel: _Cancel | None) -> tuple[int, Any]:
        """(output, frame) of whichever of these comes first; (-1, None) when all have ended."""
        until = None if timeout is None else monotonic() + timeout
        late, gone = False, self._exit_code is not None
        while True:
            with self._turn:
                for index in indexes:
                    if cancel is not None and cancel.called:
                        return -1, None
                    if self._waiting[index]:
                        return index, self._waiting[index].popleft()
                if all(self._has_ended(index) for index in indexes):
                    return -1, None
                if late:
                    raise TimeoutError(f"nothing came for {timeout} s")
                if not gone:
                    left = -1 if until is None else max(0, int((until - monotonic()) * 1e9))
                    late, gone = left == 0, not self._take_in(left)
                    continue
            raise self._failure()

    def _take_in(self, timeout_ns: int = 0) -> bool:
        """Frames that are there, the first of them waited for, and messages. False: the run has hung up, and this is all that came before that."""
        self._take_frames(timeout_ns)
        try:
            self._read_messages()
        except Gone:
            self._take_frames(0)
            return False
        return True

    def _take_frames(self, timeout_ns: int) -> None:
        member = self._member
        came = member.loop.next(timeout_ns)
        while isinstance(came, tuple) or came == 3:
            if isinstance(came, tuple):
                self._waiting[member.link_inputs[came[1]]].append(came[0])  # type: ignore[arg-type]
            else:
                index = member.link_inputs[member.loop.flush[0]]
                self._waiting[index].clear()
                if self._on_flush is not None:
                    self._on_flush(member.input_names[index])
            came = member.loop.next(0)

    def _has_ended(self, index: int) -> bool:
        links = [link for link, of in zip(self._member.links, self._member.link_inputs) if of == index]
        return all(link.ended for link in links)

    def frames(self, name: str | None = None) -> Iterator[Any]:
        """The frames of one output, to the end of its stream."""
        while True:
            frame = self.receive(name)
            if frame is None:
                return
            yield frame
            del frame

    def __iter__(self) -> Iterator[Any]:
        """The frames of the only output to its end; of several outputs (name, frame), as they come."""
        names = self._member.input_names
        if len(names) == 1:
            yield from self.frames()
            return
        while True:
            index, frame = self._receive(list(range(len(names))), None, None)
            if frame is None:
                return
            yield names[index], frame
            del frame

    # ---- async -------------------------------------------------------------------------------------------------------------------

    async def _in_thread(self, call: Callable[[_Cancel], Any]) -> Any:
        import asyncio
        cancel = _Cancel()
        try:
            return await asyncio.get_running_loop().run_in_executor(None, call, cancel)
        except asyncio.CancelledError:
            cancel.called = True
            self._member.loop.interrupt()
            raise

    async def asend(self, name: str, frame: Any, timeout: float | None = None) -> None:
        """send(), awaited."""
        await self._in_thread(lambda cancel: self._send(name, frame, timeout, cancel))

    async def areceive(self, name: str | None = None, timeout: float | None = None) -> Any:
        """receive(), awaited. May be cancelled: no frame is lost by it."""
        index = self._index(name)
        return (await self._in_thread(lambda cancel: self._receive([index], timeout, cancel)))[1]

    async def __aiter__(self) -> AsyncIterator[Any]:
        names = self._member.input_names
        while True:
            index, frame = await self._in_thread(lambda cancel: self._receive(list(range(len(names))), None, cancel))
            if frame is None:
                return
            yield frame if len(names) == 1 else (names[index], frame)
            del frame

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        import asyncio
        await asyncio.get_running_loop().run_in_executor(None, self.__exit__, kind, error, traceback)

    # ---- the end -------------------------------------------------------------------------------------------------------------------

    def _read_messages(self) -> None:
        self._member.read_messages()
        if self._member.stopping and not self._stopped:
            self._stopped = True
            self._member.end_outputs()

    def _check(self) -> None:
        if self._exit_code is not None:
            raise PipelineError("the run has ended", self._exit_code)
        if self._stopped:
            raise PipelineError("the run is being stopped", 130)

    def _failure(self) -> PipelineError:
        code = self._end()
        return PipelineError(self._child.error(), code)

    def _end(self, timeout: float | None = None) -> int:
        with self._ending:
            if self._exit_code is None:
                self._control.hang_up()
                self._exit_code = self._child.wait(timeout)
            return self._exit_code

    @property
    def events(self) -> list[dict[str, Any]]:
        """The newest events of the run (docs/events.md), oldest first."""
        return list(self._child.events)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._exit_code

    def stop(self) -> None:
        """Asks the run to end in order, within its grace period. Then wait()."""
        if self._exit_code is None:
            self._child.signal(signal.SIGINT)

    def kill(self) -> None:
        """Ends the run at once."""
        if self._exit_code is None:
            self._child.signal(signal.SIGINT)
            self._child.signal(signal.SIGTERM)
            self._end(_KILL_S)

    def wait(self, check: bool = False) -> int:
        """Ends all inputs and waits for the run's end; what still comes out is dropped. The exit code that `hawse run` has.

        check: raise PipelineError if that isn't 0.
        """
        if self._exit_code is None and self._attached:
            try:
                self._drain()
            except Gone:
                pass
        code = self._end() if self._attached or self._exit_code is not None else self._wait_detached()
        if check and code != 0:
            raise PipelineError(self._child.error(), code)
        return code

    def _wait_detached(self) -> int:
        self._child.process.wait()
        return self._end()

    def _drain(self) -> None:
        member = self._member
        with self._turn:
            member.end_outputs()
            self._waiting = {index: collections.deque() for index in self._waiting}
            while not all(link.ended for link in member.links):
                member.loop.next(-1)
                member.read_messages()
            self._control.send({"type": "finished"})
            member.wait_settled()
            member.close_inputs()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is not None:
            self.kill()
            return
        if self._exit_code is not None:
            return
        streams_over = all(link.ended for link in self._member.links) if self._attached else False
        if not streams_over:
            self.stop()
        code = self.wait()
        if code not in (0, 130):
            raise PipelineError(self._child.error(), code)

    def __del__(self) -> None:
        if getattr(self, "_exit_code", 0) is None and hasattr(self, "_child"):
            self.kill()
