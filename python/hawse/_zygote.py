# SPDX-License-Identifier: Apache-2.0
"""A zygote: an interpreter that has the package and one node's module imported, and forks a node for each start (docs/protocol.md, "The zygote").

Invariants. One thread; it waits in recvmsg() for the runtime and for nothing else. It is the parent of its nodes and reaps one when the runtime,
    which has seen the end by a pidfd, asks for it: so a node's number stays its own until then. A node never outlives its zygote, nor the zygote the
    runtime: each is killed with its parent.
Spare.      Where starts are to come that can't be foreseen (restarts), one node is forked ahead whenever nothing else is asked for: most of a fork's time
    goes into the pages that it copies before the node says a word. It waits, in the zygote's group, for the start that makes it a node.
Container.  In a container of its own the node's module may leave threads running: then the zygote becomes the node itself, and forks none. What a node leaves
    there, processes and files in memory, goes with it: the next start finds what the first one found.
Descriptors. Its own is 3. What else is open was opened by the user's module as it was imported, and its nodes have it as they would without a fork.
Failure. A module that can't be imported is kept as the exception it gave: every node that is forked fails with it, in the phase `import`.
"""
from __future__ import annotations

import _socket
import os
import sys
from time import monotonic_ns

from hawse import _host, _plane
from hawse._json import dumps, loads
from hawse._messages import Control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONTROL, _STDOUT, _STDERR = 3, 1, 2
_MEMORY_FOLDERS = ("/tmp", "/dev/shm")  # of a container: its own, and gone with it


class _Module:
    """The node's module, or why there is none."""

    def __init__(self, entry: dict[str, Any], path: list[str]) -> None:
        self.started_ns = monotonic_ns()
        self._module: Any = None
        self._error: BaseException | None = None
        try:
            self._module = _host.load_module(entry, path)
            _import_numpy_for(getattr(self._module, "__file__", None))
        except BaseException as error:
            self._error = error
        self.imported_ns = monotonic_ns()

    def load(self, entry: dict[str, Any], path: list[str]) -> Any:
        """In the node, in place of the import."""
        if self._error is not None:
            raise self._error
        return self._module


def _import_numpy_for(file: str | None) -> None:
    """A module that imports NumPy inside of its functions gets it before the fork, too; one that never does goes without."""
    if "numpy" in sys.modules or file is None or not file.endswith(".py"):
        return
    with open(file, "rb") as source:
        wanted = any(line.split(None, 2)[:2] in ([b"import", b"numpy"], [b"from", b"numpy"]) for line in source)
    if wanted:
        try:
            import numpy  # noqa: F401
        except Exception:  # the node's own import says why
            pass


def _other_threads() -> list[str]:
    """Names of the threads that a fork would lose."""
    import time
    names: list[str] = []
    for attempt in range(10):  # a thread that was joined is listed for a moment more
        names = []
        for task in os.listdir("/proc/self/task"):
            if int(task) != os.getpid():
                try:
                    with open(f"/proc/self/task/{task}/comm") as comm:
                        names.append(comm.read().strip())
                except OSError:
                    pass
        if not names:
            break
        if attempt == 0:
            _plane.settle_threads()
        time.sleep(0.002)
    return names


def _silence() -> None:
    """From here on the streams of the node that made the zygote start are that node's alone."""
    _host.flush_streams()
    null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, _STDOUT)
    os.dup2(null, _STDERR)
    os.close(null)


class _Report(Control):
    """Where a start is answered; the runtime closes it when it gives the start up."""

    def given_up(self) -> bool:
        try:
            return not self._socket.recv(1, _socket.MSG_DONTWAIT | _socket.MSG_PEEK)
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._socket.close()


class _Zygote:
    def __init__(self) -> None:
        self._pid = os.getpid()
        self._control = Control(_CONTROL)
        self._nodes: dict[int, int] = {}  # number of the start to process
        self._keeps_spare = False
        self._spare: tuple[int, _socket.socket] | None = None
        self._module: _Module
        self._threads: list[str] = []
        self._files: dict[str, set[str]] = {}  # what the import has left in folders that are the container's own

    def serve(self) -> _host.Host:
        """Returns in the nodes only."""
        message, _ = self._receive()
        self._keeps_spare = message["spare"]
        self._module = _Module(message["entry"], message["path"])
        self._threads = _other_threads()
        if message["container"]:
            self._files = {folder: set(os.listdir(folder)) for folder in _MEMORY_FOLDERS if os.access(folder, os.W_OK)}
        _silence()
        import gc
        gc.freeze()  # a node's collector leaves the pages alone that it shares with the others
        self._keeps_spare = self._keeps_spare and not self._threads
        while True:
            if self._keeps_spare and self._spare is None and not self._control.has_message():
                host = self._make_spare()
                if host is not None:
                    return host
            message, fds = self._receive()
            if message["type"] == "reap":
                self._reap(message["number"])
                if message["sweep"]:
                    self._sweep()
            elif message["type"] == "kill":
                self._kill(message["number"])
            elif message["type"] == "fork":
                host = self._fork(message, fds)
                if host is not None:
                    return host

    def _receive(self) -> tuple[dict[str, Any], list[int]]:
        received = self._control.receive()
        if received is None:
            os._exit(0)  # the runtime is gone; what the user's module has registered for the end is its nodes' to run
        return received

    def _fork(self, message: dict[str, Any], fds: list[int]) -> _host.Host | None:
        """In the node: its host. In the zygote: None."""
        report = _Report(fds[-1])
        process = -1
        if message["become"] == "always" or (self._threads and message["become"] == "with threads"):
            return self._become(fds, report)
        if self._threads:
            report.send({"type": "threads", "names": self._threads})
        elif not report.given_up():
            process = self._give_spare(message, fds)
            if process < 0:
                try:
                    process = os.fork()
                except OSError as error:
                    report.send({"type": "refused", "reason": f"fork: {error.strerror}"})
        fds = fds[:-1]
        if process == 0:
            _seed()
            return self._become_node(message, fds, report)
        if process > 0:
            self._nodes[message["number"]] = process
        report.close()
        for fd in fds:
            os.close(fd)
        return None

    def _make_spare(self) -> _host.Host | None:
        """In the spare: its host, once it is a node. In the zygote: None."""
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            process = os.fork()
        except OSError:
            self._keeps_spare = False
            return None
        if process > 0:
            theirs.close()
            self._spare = process, ours
            return None
        if not _plane.die_with_parent(self._pid):
            os._exit(127)
        self._control.detach()
        os.dup2(theirs.fileno(), _CONTROL)
        ours.close()
        theirs.close()
        self._control = Control(_CONTROL)
        _rehearse()
        message, fds = self._receive()
        return self._become_node(message, fds[:-1], _Report(fds[-1]))

    def _give_spare(self, message: dict[str, Any], fds: list[int]) -> int:
        """The spare's process, now a node of that start; -1 where there is none."""
        if self._spare is None:
            return -1
        (process, connection), self._spare = self._spare, None
        rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
        try:
            connection.sendmsg([dumps(message).encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)], _socket.MSG_NOSIGNAL)
            return process
        except OSError:  # somebody has killed it
            os.waitpid(process, 0)
            return -1
        finally:
            connection.close()

    def _become(self, fds: list[int], report: _Report) -> _host.Host:
        """No fork: this process is the node from here on."""
        if self._spare is not None:
            self._spare[1].close()
        self._take_places(fds)
        times = {"started_ns": self._module.started_ns, "imported_ns": self._module.imported_ns}
        if not report.send({"type": "became", "names": self._threads, **times}):
            os._exit(127)
        report.close()
        self._control.detach()
        return _host.Host(_CONTROL, self._module.load)

    @staticmethod
    def _take_places(fds: list[int]) -> None:
        for fd, place in zip(fds, (_CONTROL, _STDOUT, _STDERR)):
            os.dup2(fd, place)
            os.close(fd)

    def _become_node(self, message: dict[str, Any], fds: list[int], report: _Report) -> _host.Host:
        forked_ns = monotonic_ns()
        if not _plane.die_with_parent(self._pid):
            os._exit(127)
        try:
            os.setsid()
            for file in message["cgroup"]:
                _write(file, b"0")
            self._take_places(fds)
        except OSError as error:
            report.send({"type": "refused", "reason": str(error)})
            os._exit(127)
        times = {"started_ns": self._module.started_ns, "imported_ns": self._module.imported_ns, "forked_ns": forked_ns}
        if not report.send({"type": "forked", **times}):
            os._exit(127)
        report.close()
        self._control.detach()
        return _host.Host(_CONTROL, self._module.load)

    def _reap(self, number: int) -> None:
        reply: dict[str, Any] = {"type": "reaped", "number": number}
        if self._threads:
            reply["threads"] = self._threads
        process = self._nodes.pop(number, 0)
        if process:
            try:
                os.killpg(process, 9)  # what it started ends with it
            except OSError:
                pass
            _, status, usage = os.wait4(process, 0)
            reply["max_rss_bytes"] = usage.ru_maxrss * 1024
            if os.WIFSIGNALED(status):
                reply["signal"] = os.WTERMSIG(status)
            else:
                reply["code"] = os.WEXITSTATUS(status)
        self._control.send(reply)

    def _kill(self, number: int) -> None:
        process = self._nodes.get(number, 0)
        if process:
            _end(process)

    def _sweep(self) -> None:
        """Ends what the node that ended has left running, and removes what it wrote."""
        import time
        ours = {1, self._pid, self._spare[0] if self._spare else 0, *self._nodes.values()}
        give_up_ns = monotonic_ns() + 1_000_000_000
        while monotonic_ns() < give_up_ns:  # a killed process is there until it has had the processor and init has reaped it; others may start some meanwhile
            left = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in ours]
            if not left:
                break
            for process in left:
                _end(process)
            time.sleep(0.0002)
        for folder, kept in self._files.items():
            for name in os.listdir(folder):
                if name not in kept:
                    _remove(f"{folder}/{name}")


def _end(process: int) -> None:
    import signal
    try:
        os.kill(process, signal.SIGKILL)
    except OSError:  # it has just ended
        pass


def _remove(path: str) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            for name in os.listdir(path):
                _remove(f"{path}/{name}")
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError:  # not this user's
        pass


def _write(file: str, data: bytes) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def _rehearse() -> None:
    """Does what every node does first, so that the pages it writes to are the spare's own before its start."""
    message = {"type": "hello", "protocol": 1, "pid": os.getpid(), "phases": {"import_ns": 1, "setup_ns": 1}, "entry": {}, "links": [{"input": 0}]}
    loads(dumps(message))
    _seed()


def _seed() -> None:
    """NumPy's global generator; Python's `random` seeds its own in every fork."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()


def main() -> int:
    """The body of `python3 -I -u -B hawse/_main.py zygote`; in a node, its exit code."""
    _host.prepare_process()
    return _host.run(_Zygote().serve())
