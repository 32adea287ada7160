# SPDX-License-Identifier: Apache-2.0
"""A member of a session: its end of the control protocol, its ports and their memory. The node's host and an embedding program are both one.

Invariants. The driving thread alone reads the socket and touches the ports; the plane's Loop wakes it when a message comes.
    Every descriptor received is closed here once the plane has mapped it.
"""
from __future__ import annotations

import os
from time import time_ns

from hawse import _plane
from hawse._messages import Control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from hawse._outputs import Spec

WHEN_FULL = ("block", "drop_oldest", "drop_newest", "latest")
_PAGE = 4096
_SMALL_SLOTS = (128, 1024)  # as src/plane/slot_size.hpp says
_LARGE_BYTES = 16 << 20
_OUTLIER = 4        # so many times larger than all other slots: one such frame makes no stream of them
_OUTLIER_SLOTS = 2  # growth may come again

_TEXT_CHARACTERS = 9000  # at most 6 bytes each in JSON: fits a message


def clean(text: object) -> str:
    """Text that any JSON reader takes: no lone surrogates, not too long."""
    cleaned = str(text).encode("utf-8", "backslashreplace").decode()
    return cleaned if len(cleaned) <= _TEXT_CHARACTERS else f"{cleaned[:_TEXT_CHARACTERS]}... ({len(cleaned)} characters)"


class Gone(Exception):
    """The runtime hung up."""


class OutPort:
    """One connected output: sends frames, and asks for memory where it needs some."""

    def __init__(self, member: Member, index: int, name: str) -> None:
        self.index, self.name = index, name
        self.native = _plane.OutputPort()
        self.queues: dict[int, int] = {}  # link index to its queue
        self.sparing = False              # the last growth was for a frame far larger than the others
        self.sized = False                # one size was enough so far
        self.granted = False              # the last growth was
        self.refused = ""                 # why the last growth was refused
        self.full = False                 # more slots were refused: from now on wait for a return
        self._member = member

    def build(self, spec: Spec) -> _plane.Frame:
        frame = self.native.build(*spec)
        while isinstance(frame, int):
            if frame == _plane.NO_SLOT and self._member.loop.interrupted():  # send() will drop it
                from hawse._outputs import build_locally
                return build_locally(spec)
            self.make_way(frame, spec[6])
            frame = self.native.build(*spec)
        return frame

    def send(self, frame: _plane.Frame) -> None:
        """Waits where a blocking edge is full. While a flush waits, the frame is given up and counted (native/send.cpp)."""
        status = self.native.send(frame)
        while status:
            self.make_way(status, frame.nbytes)
            status = self.native.send(frame)

    def make_way(self, status: int, payload_bytes: int) -> None:
        """Does what comes before the next try: FULL, TOO_LARGE or NO_SLOT said that there is no way through yet."""
        loop, native = self._member.loop, self.native
        if status == _plane.FULL:
            loop.wait_room(native, -1)
        elif status == _plane.TOO_LARGE:
            if not self._grow(payload_bytes, self._slots(payload_bytes)):
                raise MemoryError(f"output {self.name!r} has no memory for a frame of {payload_bytes} bytes: {self.refused}")
        elif native.unread and not self.sparing:
            loop.wait_slot(native, -1, True)  # the readers have yet to read some: those come back
        elif not self.full:
            # The readers have read everything and hold on to it, or this node builds many: more slots, as far as the limit goes.
            wanted = self._slots(payload_bytes) if self.sparing else max(native.slot_count, self._slots(payload_bytes))
            self.full = not self._grow(payload_bytes, min(wanted, _plane.MAX_SLOTS - native.slot_count))
            if self.full:
                self._member.log("warning", f"output {self.name!r} waits: its readers keep its {native.slot_count} frames, and there is no room for more: "
                                            f"{self.refused}")
        elif native.building >= native.slots_in_use:
            raise MemoryError(f"output {self.name!r}: {native.building} frames are being built and none was sent: {self.refused}")
        else:
            loop.wait_slot(native, -1, False)
        self._member.read_messages()

    def _slots(self, payload_bytes: int) -> int:
        """A queue's depth of unread frames on the deepest edge, plus one being built, one in each reader's hands (most have one or two), one spare."""
        slots = max(self.queues.values(), default=1) + 4
        if payload_bytes >= _LARGE_BYTES:
            slots = min(slots, 8)
        return max(slots, 2 + len(self.queues))

    def _grow(self, payload_bytes: int, slots: int) -> bool:
        """By the rule first; where that is too much, with as little as lets the stream run."""
        least = 2 + len(self.queues)
        needed = max(payload_bytes, 1)
        others = self.native.largest_slot_bytes
        roomy = needed + needed // 4 if self.sized and needed > others else needed  # sizes vary: don't come back for every record
        self.sparing = roomy >= _LARGE_BYTES and 0 < others * _OUTLIER < needed
        if self.sparing:
            return self._ask(roomy, _OUTLIER_SLOTS) or self._ask(needed, 1)
        usual = others if others <= needed * _OUTLIER else 0
        return self._ask(max(roomy, usual), slots) or (slots > least and self._ask(needed, least))

    def _ask(self, slot_bytes: int, slots: int) -> bool:
        slot_bytes = next((small for small in _SMALL_SLOTS if slot_bytes <= small), -(-slot_bytes // _PAGE) * _PAGE)
        self.granted, self.refused = False, ""
        if slots <= 0:
            self.refused = f"an output has at most {_plane.MAX_SLOTS} slots"
            return False
        self._member.control.send({"type": "grow", "port": self.index, "slot_bytes": slot_bytes, "slots": slots})
        while not self.granted and not self.refused:
            self._member.wait_message()
        self.sized = self.sized or self.granted
        return self.granted


    def give_back(self) -> None:
        """What the stream has no use for (src/plane/port.hpp)."""
        arena = self.native.give_back()
        if arena is not None:
            self.full = False
            self._member.control.send({"type": "give_back", "port": self.index, "arena": arena})


_DESCRIPTORS = {"configure": 2, "output_link": 2, "input_link": 2, "arena": 1, "input_arena": 1}  # of a message; what comes with others is closed


class Member:
    """Configured by the runtime's `configure`; then `loop`, `inputs`, `outputs` and the links are there."""

    def __init__(self, control: Control, exit_on_hangup: bool) -> None:
        self.control = control
        self.stopping = False
        self.handing_over = False  # a replacement goes on: no more frames, and no end of the streams
        self.begun = False
        self.started = False
        self.configuration: dict[str, Any] = {}
        self.outputs: list[OutPort] = []
        self.links: list[_plane.InputLink] = []
        self.link_inputs: list[int] = []  # link number to index of its input
        self.input_names: list[str] = []
        self.loop: _plane.Loop
        self._exit_on_hangup = exit_on_hangup
        self._handlers: dict[str, Callable[[dict[str, Any], list[int]], None]] = {
            "configure": self._configure, "output_link": self._output_link, "input_link": self._input_link, "begin": self._begin,
            "start": self._start, "stop": self._stop, "hand_over": self._hand_over, "arena": self._arena, "input_arena": self._input_arena,
            "arena_ready": self._arena_ready, "arena_refused": self._arena_refused, "drop_arena": self._drop_arena, "arena_gone": self._arena_gone,
        }

    def log(self, level: str, text: str) -> None:
        """A line in the runtime's log; any thread."""
        self.control.send({"type": "log", "level": level, "time_ns": time_ns(), "text": clean(text)})

    # ---- messages -------------------------------------------------------------------------------------------------------

    def wait_message(self) -> None:
        """One message, waited for."""
        received = self.control.receive()
        if received is None:
            self._gone()
        else:
            self._handle(*received)

    def read_messages(self) -> None:
        """All messages that are there."""
        if not self.loop.messages():
            return
        while True:
            received = self.control.receive(wait=False)
            if received is None:
                break
            self._handle(*received)
        for output in self.outputs:
            output.give_back()
        if self.loop.hung_up:
            self._gone()

    def _gone(self) -> None:
        if self._exit_on_hangup:
            os._exit(1)
        raise Gone("the runtime has hung up")

    def _handle(self, message: dict[str, Any], fds: list[int]) -> None:
        try:
            kind = message["type"]
            handler = self._handlers.get(kind)
            if handler is None:
                return  # of a newer runtime, and not needed
            if len(fds) != _DESCRIPTORS.get(kind, len(fds)):
                raise ValueError(f"the runtime's message {kind!r} came with {len(fds)} descriptors")
            handler(message, fds)
        finally:
            for fd in fds:
                os.close(fd)

    def _configure(self, message: dict[str, Any], fds: list[int]) -> None:
        self.configuration = message
        self.loop = _plane.Loop(fds[0], fds[1], message.get("spin_ns", 0), self._exit_on_hangup)
        self.loop.watch(self.control.fileno(), self._exit_on_hangup)
        self.input_names = [port["port"] for port in message["inputs"]]
        first = message.get("first_sequence", {})
        for index, port in enumerate(message["outputs"]):
            output = OutPort(self, index, port["port"])
            output.native.set_next_sequence(first.get(port["port"], 1))
            self.loop.add_output(output.native)
            self.outputs.append(output)
        for link in message["links"]:
            self.links.append(_plane.InputLink())
            self.loop.add_input(self.links[-1], link.get("feedback", False))
            self.link_inputs.append(link["input"])

    def _output_link(self, message: dict[str, Any], fds: list[int]) -> None:
        port = self.outputs[message["port"]]
        port.native.set_link(message["index"], fds[0], fds[1], message["queue"], WHEN_FULL.index(message["when_full"]), message.get("set_aside", 0))
        port.queues[message["index"]] = message["queue"]

    def _input_link(self, message: dict[str, Any], fds: list[int]) -> None:
        self.links[message["link"]].connect(fds[0], fds[1], message.get("set_aside", 0))

    def _begin(self, message: dict[str, Any], fds: list[int]) -> None:
        self.begun = True

    def _start(self, message: dict[str, Any], fds: list[int]) -> None:
        self.started = True

    def _stop(self, message: dict[str, Any], fds: list[int]) -> None:
        self.stopping = True

    def _hand_over(self, message: dict[str, Any], fds: list[int]) -> None:
        self.handing_over = True
        self.loop.hand_over()

    def _arena(self, message: dict[str, Any], fds: list[int]) -> None:
        self.outputs[message["port"]].native.add_arena(fds[0], message["arena"], message["slot_bytes"], message["slots"])
        self.control.send({"type": "mapped", "port": message["port"], "arena": message["arena"]})

    def _input_arena(self, message: dict[str, Any], fds: list[int]) -> None:
        self.links[message["link"]].add_arena(fds[0], message["arena"], message["slot_bytes"], message["slots"])

    def _arena_ready(self, message: dict[str, Any], fds: list[int]) -> None:
        port = self.outputs[message["port"]]
        port.native.enable_arena(message["arena"])
        port.granted = True

    def _arena_refused(self, message: dict[str, Any], fds: list[int]) -> None:
        self.outputs[message["port"]].refused = message["reason"] or "refused"

    def _drop_arena(self, message: dict[str, Any], fds: list[int]) -> None:
        self.links[message["link"]].drop_arena(message["arena"])

    def _arena_gone(self, message: dict[str, Any], fds: list[int]) -> None:
        self.outputs[message["port"]].native.arena_gone()

    # ---- the end ----------------------------------------------------------------------------------------------------------

    def end_outputs(self) -> None:
        for output in self.outputs:
            output.native.end(1)

    def wait_settled(self) -> None:
        """Until every reader has given everything back, or is gone: frames may have to be given again until then."""
        for output in self.outputs:
            while not output.native.settled():
                self.loop.wait_settled(output.native, -1)
                self.read_messages()

    def close_inputs(self) -> None:
        for link in self.links:
            link.close()
