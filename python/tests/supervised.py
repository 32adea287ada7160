# SPDX-License-Identifier: Apache-2.0
"""The runtime's part of the conversation, in small: starts hawse/_main.py as a real process and talks to it over the real plane.

One thread drives it: every wait for frames also looks at the node's messages.
"""
import _socket
import contextlib
import os
import subprocess
import sys
import time

import hawse
from hawse import _plane
from hawse._json import dumps, loads

MAIN = os.path.join(os.path.dirname(os.path.abspath(hawse.__file__)), "_main.py")
WHEN_FULL = ("block", "drop_oldest", "drop_newest", "latest")


class Supervised:
    """A node of `source` (text of a Python file) or `module`, its inputs fed and its outputs read by this test."""

    def __init__(self, folder, source="", node="Node", inputs=("in",), outputs=("out",), params=None, queue=8, when_full="block", links=None,
                 types=None, feedback=(), path=(), module="", limit_bytes=1 << 30, python=sys.executable,
                 match=None):
        self.folder, self.node, self.module = str(folder), node, module
        self.file = os.path.join(self.folder, "nodes.py")
        if not module:
            with open(self.file, "w") as out:
                out.write(source)
        self.inputs, self.outputs, self.params = list(inputs), list(outputs), params or {}
        self.types, self.feedback, self.match = types or {}, feedback, match
        self.links = list(range(len(self.inputs))) if links is None else links  # input of each link
        self.queue, self.when_full, self.path, self.limit_bytes, self.python = queue, when_full, list(path), limit_bytes, python
        self.fds, self.messages, self.log, self.node_fds = [], [], [], []
        self.feeds, self.readers, self.reader_fds, self.feed_fds = [], [], [], []
        self.arenas, self.bytes, self.pending, self.arena_fds = 0, 0, {}, []
        self.arena_bytes = {}
        self.feed_arenas = [0] * len(self.links)
        self.process = None

    # ---- life -----------------------------------------------------------------------------------------------------------

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.hang_up()
        self.loop = self.feeds = self.readers = None
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def fd(self, fd):
        self.fds.append(fd)
        return fd

    def hang_up(self):
        if getattr(self, "socket", None) is not None:
            try:
                self.socket.shutdown(_socket.SHUT_RDWR)
            except OSError:
                pass
            self.socket.close()
            self.socket = None

    def spawn(self):
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.socket = _socket.socket(fileno=os.dup(ours)) if isinstance(ours, int) else ours
        os.set_inheritable(theirs.fileno(), True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "HAWSE"))}
        environment["HAWSE_FD"] = str(theirs.fileno())
        self.process = subprocess.Popen([self.python, "-I", "-u", "-B", MAIN], pass_fds=[theirs.fileno()], env=environment, cwd="/",
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        theirs.close()
        self.bell = self.fd(_plane.create_doorbell())
        self.loop = _plane.Loop(self.bell, -1, 0, False)
        self.loop.watch(self.socket.fileno(), False)

    def connect(self):
        """hello, configure, links, begin"""
        self.hello = self.expect("hello")
        self.node_bell, self.page = self.fd(_plane.create_doorbell()), self.fd(_plane.create_node_page())
        entry = {"kind": "python", "file": "" if self.module else self.file, "module": self.module, "class": self.node}
        matched = {"match": self.match} if self.match else {}
        self.send({"type": "configure", **matched, "node": "under_test", "pipeline": "test", "entry": entry, "path": self.path, "params": self.params,
                   "inputs": [{"port": name, "type": self.types.get(name, "any")} for name in self.inputs],
                   "outputs": [{"port": name, "type": self.types.get(name, "any"), "links": 1} for name in self.outputs],
                   "links": [{"input": i, "queue": self.queue, "feedback": n in self.feedback} for n, i in enumerate(self.links)], "given": 0, "first_sequence": {}, "attempt": 1,
                   "spin_ns": 0, "log_level": "debug", "executor": "process"}, self.node_bell, self.page)
        when_full = WHEN_FULL.index(self.when_full)
        for port in range(len(self.outputs)):
            link = self.fd(_plane.create_link(self.queue, when_full))
            self.readers.append(_plane.InputLink())
            self.readers[-1].connect(link, self.node_bell)
            self.loop.add_input(self.readers[-1])
            self.reader_fds.append(link)
            self.send({"type": "output_link", "port": port, "index": 0, "queue": self.queue, "when_full": self.when_full}, link, self.bell)
        for number in range(len(self.links)):
            link = self.fd(_plane.create_link(self.queue, 0))
            feed = _plane.OutputPort()
            feed.set_link(0, link, self.node_bell, self.queue, 0)
            self.loop.add_output(feed)
            self.feeds.append(feed)
            self.feed_fds.append(link)
            self.send({"type": "input_link", "link": number}, link, self.bell)
        self.send({"type": "begin"})

    def start(self):
        self.spawn()
        self.connect()
        self.ready = self.expect("ready")
        self.send({"type": "start"})
        return self

    def wait(self):
        """To the node's end: (exit code, stdout, stderr)."""
        out, err = self.process.communicate(timeout=60)
        self.read_messages()
        return self.process.returncode, out.decode(), err.decode()

    # ---- messages ---------------------------------------------------------------------------------------------------------

    def send(self, message, *fds):
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, b"".join(fd.to_bytes(4, "little") for fd in fds))] if fds else []
        self.socket.sendmsg([dumps(message).encode()], rights)

    def read_messages(self):
        while True:
            try:
                data = self.socket.recv(65536, _socket.MSG_DONTWAIT)
            except (BlockingIOError, ConnectionResetError):
                return
            if not data:
                return
            self.handle(loads(data.decode()))

    def handle(self, message):
        kind = message["type"]
        if kind == "grow":
            self.grow(message)
        elif kind == "mapped":
            fd, spec = self.pending.pop(message["arena"])
            _plane.seal_arena(fd)
            self.readers[message["port"]].add_arena(fd, message["arena"], *spec)
            self.send({"type": "arena_ready", "port": message["port"], "arena": message["arena"]})
        elif kind == "give_back":
            self.bytes -= self.arena_bytes.pop(message["arena"])
            self.readers[message["port"]].drop_arena(message["arena"])
            self.send({"type": "arena_gone", "port": message["port"], "arena": message["arena"]})
        elif kind == "log":
            self.log.append((message["level"], message["text"]))
        self.messages.append(message)

    def grow(self, message):
        size = message["slot_bytes"] * message["slots"]
        if self.bytes + size > self.limit_bytes:
            self.send({"type": "arena_refused", "port": message["port"], "reason": f"the limit of {self.limit_bytes} bytes"})
            return
        self.bytes += size
        self.arena_bytes[self.arenas] = size
        arena = self.fd(_plane.create_arena(message["slot_bytes"], message["slots"]))
        self.arena_fds.append((arena, (message["slot_bytes"], message["slots"])))
        self.pending[self.arenas] = (arena, (message["slot_bytes"], message["slots"]))
        self.send({"type": "arena", "port": message["port"], "arena": self.arenas, "slot_bytes": message["slot_bytes"], "slots": message["slots"]},
                  arena)
        self.arenas += 1

    def until(self, there, timeout_s=60):
        """Handles messages until there() is true."""
        until = time.monotonic() + timeout_s
        while not there():
            assert time.monotonic() < until, f"it never came; messages: {self.messages}"
            self.loop.wait(20_000_000)
            self.loop.messages()
            self.read_messages()

    def expect(self, kind):
        """The first message of that type, waited for."""
        self.until(lambda: any(message["type"] == kind for message in self.messages))
        return next(message for message in self.messages if message["type"] == kind)

    # ---- frames -------------------------------------------------------------------------------------------------------------

    def feed(self, frame, link=0):
        feed = self.feeds[link]
        status = feed.send(frame)
        while status:
            if status in (_plane.TOO_LARGE, _plane.NO_SLOT) and feed.can_send():
                slot_bytes = -(-(frame.nbytes) // 4096) * 4096
                arena = self.fd(_plane.create_arena(slot_bytes, 16))
                number, self.feed_arenas[link] = self.feed_arenas[link], self.feed_arenas[link] + 1
                feed.add_arena(arena, number, slot_bytes, 16)
                _plane.seal_arena(arena)
                self.send({"type": "input_arena", "link": link, "arena": number, "slot_bytes": slot_bytes, "slots": 16}, arena)
                feed.enable_arena(number)
            else:
                self.loop.wait_room(feed, 50_000_000)
                self.loop.messages()
                self.read_messages()
            status = feed.send(frame)

    def end(self):
        for feed in self.feeds:
            feed.end(1)
        self.look()

    def look(self):
        """As the runtime says that the other end of a link is gone."""
        with contextlib.suppress(OSError):  # so is the node
            self.send({"type": "look"})

    def receive(self, timeout_s=60):
        """(port name, frame) of whatever comes next, (port name, None) for a flush; None when every output has ended."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            came = self.loop.next(50_000_000)
            if isinstance(came, tuple):
                return self.outputs[came[1]], came[0]
            if came == 3:
                return self.outputs[self.loop.flush[0]], None
            if came == 1:
                return None
            self.loop.messages()
            self.read_messages()
        raise AssertionError(f"nothing came; messages: {self.messages}")

    def receive_all(self):
        """(port name, frame) to the end of all outputs; gives each back unless the caller keeps it."""
        while True:
            came = self.receive()
            if came is None:
                return
            yield came
            del came
