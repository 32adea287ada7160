# SPDX-License-Identifier: Apache-2.0
"""A node's life under the runtime: hello, import, setup(), frames, finish(), close().

Failure. An exception of the user's code becomes one `failed` message, with the user's own lines of its traceback, and exit code 1. The runtime's
    hang-up ends the process at once, whatever it is doing (native/loop.cpp watches for it).
"""
from __future__ import annotations

import os
import sys
from time import monotonic_ns, perf_counter_ns

from hawse import _calls, _plane
from hawse._messages import Control
from hawse._node import Log
from hawse._outputs import Output, Outputs
from hawse._ports import Member, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable

    from hawse._frames import Frame
    from hawse._match import Matcher
    from hawse._node import Node

PROTOCOL = 1
_BUSY, _FINISHED = 2, 3
_SDK = os.path.dirname(os.path.abspath(__file__)) + os.sep


class _Failed(Exception):
    """The user's code failed in `phase`; the reason is __cause__."""

    def __init__(self, phase: str) -> None:
        super().__init__(phase)
        self.phase = phase


class _Phase:
    """with _Phase("setup"): what leaves it is a failure of that phase."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is not None and not isinstance(error, _Failed):
            raise _Failed(self._name) from error


class Host:
    def __init__(self, fd: int, load: Callable[[dict[str, Any], list[str]], Any] | None = None) -> None:
        """load(entry, path): the user's module; where none is given it is imported here."""
        self._load_module = load or load_module
        self._control = Control(fd)
        self._member = Member(self._control, exit_on_hangup=True)
        self._calls: _calls.Calls
        self._matcher: Matcher | None = None

    def run(self) -> None:
        """To the end of the stream. Raises _Failed."""
        self._greet()
        member = self._member
        while not member.begun:
            member.wait_message()
        started_ns = perf_counter_ns()
        with _Phase("import"):
            self._calls = self._make_calls(self._load())
        imported_ns = perf_counter_ns()
        try:
            with _Phase("setup"):
                self._calls.setup(member.configuration.get("params") or {})
            self._control.send({"type": "ready", "phases": {"import_ns": imported_ns - started_ns, "setup_ns": perf_counter_ns() - imported_ns}})
            while not member.started:
                member.wait_message()
            self._stream()
            if not member.handing_over:
                self._finish()
        except BaseException:
            self._close_after_failure()
            raise
        self._begin_work()
        with _Phase("close"):
            self._calls.close()
        if member.handing_over:
            flush_streams()
            os._exit(0)  # what it holds stays unreturned: its replacement gets it
        member.loop.set_state(_FINISHED)

    def _greet(self) -> None:
        version = ".".join(map(str, sys.version_info[:3]))
        from hawse import __version__
        self._control.send({"type": "hello", "protocol": PROTOCOL, "pid": os.getpid(), "sdk": __version__, "language": f"python {version}"})

    # ---- the user's class -----------------------------------------------------------------------------------------------------

    def _load(self) -> type[Node]:
        configuration = self._member.configuration
        entry = configuration["entry"]
        module = self._load_module(entry, configuration.get("path", []))
        found = getattr(module, entry["class"], None)
        if found is None:
            raise AttributeError(f"{entry.get('file') or entry['module']} has no class {entry['class']}")
        return found  # type: ignore[no-any-return]

    def _make_calls(self, node_class: type[Node]) -> _calls.Calls:
        member, configuration = self._member, self._member.configuration
        outputs = Outputs()
        types: dict[str, tuple[str, ...]] = {}
        for port, described in zip(member.outputs, configuration["outputs"]):
            outputs[port.name] = Output(port.name, port.build, port.native.flush)
            kind = described.get("type") or "any"
            types[port.name] = () if kind == "any" else tuple(kind.split("|"))
        default = _calls.declared_outputs(node_class)[0]
        log = Log(member.log, configuration.get("log_level", "info"))
        node = _calls.make_node(node_class, configuration["node"], outputs, default, log, self._progress)
        node._interrupted, node.alive = member.loop.interrupted, member.loop.alive
        ports = {port.name: port for port in member.outputs}

        def emit(name: str, frame: Frame) -> None:
            port = ports.get(name)
            if port is not None:
                port.send(frame)

        return _calls.Calls(node, member.input_names, types, emit, bool(configuration.get("match")))

    def _progress(self, what: str, done: int, total: int = 0, unit: str = "") -> None:
        self._member.loop.alive()
        self._control.send({"type": "progress", "what": clean(what), "done": int(done), "total": int(total), "unit": unit})

    # ---- frames -----------------------------------------------------------------------------------------------------------------

    def _stream(self) -> None:
        if self._calls.is_source:
            with _Phase("produce"):
                self._produce()
        else:
            with _Phase("process"):
                match = self._member.configuration.get("match")
                if match:
                    self._process_matched(match)
                else:
                    self._process()

    def _process(self) -> None:
        calls, member, loop = self._calls, self._member, self._member.loop
        process = [calls.process[index] for index in member.link_inputs]
        deliver, following = calls.deliver, loop.next
        while True:
            came: Any = following(-1)
            if came.__class__ is tuple:
                frame: Any
                frame, link = came
                came = None
                result = process[link](frame)
                if result is not None:
                    deliver(result)
                frame = result = None  # the frame is given back before the wait for the next
            elif came == 0:
                member.read_messages()
            elif came == 3:
                self._take_flush()
            else:
                return

    def _begin_work(self) -> None:
        """The user's code is called with no frame in hand: from here on it is busy."""
        loop = self._member.loop
        loop.set_state(_BUSY)
        loop.alive()

    def _take_flush(self) -> None:
        member = self._member
        self._begin_work()
        link, flush_id = member.loop.flush
        port = member.link_inputs[link]
        with _Phase("flushed"):
            if self._matcher is not None:
                self._matcher.clear(port)
            if self._calls.flushed(member.input_names[port]):
                for output in member.outputs:
                    output.native.flush(flush_id)

    def _process_matched(self, rule: dict[str, int]) -> None:
        from hawse._match import Matcher
        member, loop = self._member, self._member.loop
        loop.timed = False  # a call is what is timed, not a frame
        of_input: list[list[_plane.InputLink]] = [[] for _ in member.input_names]
        for link, index in zip(member.links, member.link_inputs):
            of_input[index].append(link)
        # (frame, link number): one that finds no partner is given back as soon as nobody here refers to it
        self._matcher = matcher = Matcher(len(of_input), rule["tolerance_ns"], rule["wait_ns"], rule["hold"],
                                          lambda item: member.links[item[1]].count_unmatched())
        ended: set[int] = set()
        while True:
            self._process_sets(matcher)
            for index, links in enumerate(of_input):
                room = matcher.has_room(index)
                for link in links:
                    link.paused = not room
            deadline_ns = matcher.deadline_ns()
            came: Any = loop.next(-1 if deadline_ns is None else max(0, deadline_ns - monotonic_ns()))
            if came.__class__ is tuple:
                matcher.add(member.link_inputs[came[1]], came, came[0].timestamp_ns, monotonic_ns())
            elif came == 0:
                member.read_messages()
            elif came == 1:
                if not member.handing_over:
                    matcher.clear()
                return
            elif came == 3:
                self._take_flush()
            else:
                matcher.expire(monotonic_ns())
            came = None
            for index, links in enumerate(of_input):
                if index not in ended and all([link.ended for link in links]):
                    ended.add(index)
                    matcher.end(index)

    def _process_sets(self, matcher: Matcher) -> None:
        loop, process = self._member.loop, self._calls.process[0]
        found: Any = matcher.take()
        while found is not None:
            frames: Any = [frame for frame, _ in found]
            loop.take_in_hand(*min(found, key=lambda item: item[0].timestamp_ns))  # what is sent takes the earliest time
            found = None
            loop.enter()
            result = process(frames)
            if result is not None:
                self._calls.deliver(result)
            frames = result = None
            loop.leave()
            found = matcher.take()

    def _produce(self) -> None:
        member, loop = self._member, self._member.loop
        ports = [port.native for port in member.outputs]
        steps = self._calls.produce()
        try:
            while not member.stopping and not member.handing_over and (not ports or any([port.has_reader() for port in ports])):
                loop.enter()
                if next(steps, steps) is steps:
                    break
                loop.leave()
                member.read_messages()
        finally:
            steps.close()

    def _finish(self) -> None:
        self._begin_work()
        with _Phase("finish"):
            self._calls.finish()
        member = self._member
        member.end_outputs()
        member.close_inputs()
        member.loop.set_state(_FINISHED)
        self._control.send({"type": "finished"})
        member.wait_settled()

    # ---- failure ------------------------------------------------------------------------------------------------------------------

    def _close_after_failure(self) -> None:
        try:
            self._calls.close()
        except Exception as error:  # the first failure is the one to report
            print(f"close() failed, too: {error!r}", file=sys.stderr)

    def report(self, failure: _Failed) -> None:
        error = failure.__cause__
        assert error is not None
        summary, text = describe(error, failure.phase)
        sequence = self._member.loop.sequence if failure.phase == "process" else 0
        self._control.send({"type": "failed", "summary": summary[:2000], "traceback": text[-7000:], "sequence": sequence,
                            "phase": failure.phase})


def describe(error: BaseException, phase: str) -> tuple[str, str]:
    """(summary, traceback): the user's own lines, without those of the host above them and of the package below them.

    An error without any (a mistake of the package itself) keeps them all, but for the import: a file that can't be read has no lines yet.
    """
    import traceback
    described = traceback.TracebackException.from_exception(error)
    seen: Any = described
    while seen is not None:
        lines = [line for line in seen.stack if not line.filename.startswith((_SDK, "<frozen importlib"))]
        while lines and f"{os.sep}asyncio{os.sep}" in lines[0].filename:
            del lines[0]
        if lines or phase == "import":
            seen.stack[:] = lines
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    summary = "".join(traceback.format_exception_only(type(error), error)).strip()
    return clean(summary), clean("".join(described.format()))


def load_module(entry: dict[str, Any], path: list[str]) -> Any:
    """The module that `entry` of configure names, imported now."""
    _add_to_path(path)
    if entry.get("file"):
        return _import_file(entry["file"])
    import importlib
    return importlib.import_module(entry["module"])


def _add_to_path(folders: list[str]) -> None:
    """In front of what is there, .pth files honoured."""
    if not folders:
        return
    import site
    before = list(sys.path)
    for folder in folders:
        site.addsitedir(folder)
    added = [entry for entry in sys.path if entry not in before]
    sys.path[:] = added + before


def _import_file(path: str) -> Any:
    """The module in a file, with its folder on the path for what lies beside it."""
    from importlib.util import module_from_spec, spec_from_file_location
    sys.path.insert(0, os.path.dirname(path))
    name = os.path.basename(path).rsplit(".", 1)[0]
    if name in sys.modules or not name.isidentifier():
        name = f"hawse_node_{name}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def control_fd() -> int:
    """The node's socket: inherited (HAWSE_FD, else 3), or joined at HAWSE_SOCKET with HAWSE_TOKEN where nobody else did that."""
    address = os.environ.get("HAWSE_SOCKET")
    if "HAWSE_FD" in os.environ or not address:
        return int(os.environ.get("HAWSE_FD", "3"))
    import _socket
    from hawse._json import dumps
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    connection.connect(address)
    connection.send(dumps({"type": "join", "token": os.environ.get("HAWSE_TOKEN", ""), "pid": os.getpid(), "init": False}).encode())
    return connection.detach()


def prepare_process() -> None:
    """What a node's process does before any of the user's code."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]
    import faulthandler
    faulthandler.enable()  # a library's crash leaves the Python lines that led to it as the last ones of the node's log


def flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def run(host: Host) -> int:
    """The whole life of a node: its exit code. A failure ends the process."""
    try:
        host.run()
    except _Failed as failure:
        host.report(failure)
        flush_streams()
        os._exit(1)  # not through the interpreter's end: threads of the failed node could hold it up
    return 0


def main() -> int:
    """The body of `python3 -I -u -B hawse/_main.py`. Exit code 0, 1 after a failure, 2 when nobody started it as a node."""
    prepare_process()
    try:
        host = Host(control_fd())
    except OSError as error:
        print(f"hawse: a node is started by `hawse run`; no control socket is here ({error})", file=sys.stderr)
        return 2
    return run(host)
