# SPDX-License-Identifier: Apache-2.0
"""Python nodes of the benchmark. The benchmark itself is the program around the pipeline: it sends a command, and gets a tensor of float32 back.

Payloads are int64: [0] when it was sent, [1] when it was received, [-1] its number, which the other end checks. Nothing else is written or read.
Times are CLOCK_MONOTONIC, which processes and containers of a machine share.
"""
from array import array
from time import monotonic_ns, sleep

import hawse

WORD_BYTES = 8


class Head(hawse.Node):
    """Sends a frame, waits until it comes back, sends the next: {"count", "bytes"}. Gives the round trips in ns.

    Commands and what comes back share one input: process() with a single parameter.
    """

    outputs = {"out": hawse.Tensor, "samples": hawse.Tensor}

    def process(self, frame):
        now = monotonic_ns()
        if frame.__class__ is hawse.Json:
            command = frame.value
            self.count, self.words = command["count"], command["bytes"] // WORD_BYTES
            self.samples = array("f")
        else:
            self.samples.append(now - self.sent)
            if frame.array[-1] != len(self.samples):
                raise ValueError(f"frame {len(self.samples)} came back as {frame.array[-1]}")
            if len(self.samples) == self.count:
                return "samples", hawse.Tensor(memoryview(self.samples))
        self.sent = monotonic_ns()
        out = self.output.tensor(self.words, "int64")
        out.array[-1] = len(self.samples) + 1
        return out


class Relay(hawse.Node):
    """Answers each frame with one of the same size and number."""

    def process(self, frame: hawse.Tensor) -> hawse.Tensor:
        out = self.output.like(frame)
        out.array[-1] = frame.array[-1]
        return out


class Sender(hawse.Node):
    """Sends {"count"} frames of {"bytes"}: paced, with {"gap_ns"} between them and each stamped, or as fast as they are taken ("gap_ns": 0)."""

    outputs = {"out": None}

    def process(self, command: hawse.Json):
        wanted = command.value
        words, gap_s = wanted["bytes"] // WORD_BYTES, wanted["gap_ns"] / 1e9
        yield hawse.Json(wanted)
        if gap_s:
            for number in range(wanted["count"]):
                sleep(gap_s)
                out = self.output.tensor(words, "int64")
                view = out.array
                view[-1] = number
                view[0] = monotonic_ns()
                yield out
        else:
            build = self.output.tensor
            for _ in range(wanted["count"]):
                yield build(words, "int64")
        yield hawse.Json({"end": True})


class Receiver(hawse.Node):
    """Paced: gives the time from each stamp to the receipt, in ns. Else: [frames a second, frames lost]."""

    outputs = {"samples": hawse.Tensor}

    def process(self, frame):
        now = monotonic_ns()
        if frame.__class__ is hawse.Json:
            return self.border(frame.value, now)
        if self.paced:
            view = frame.array
            self.samples.append(now - view[0])
            if view[-1] != self.received:
                raise ValueError(f"frame {self.received} came as {view[-1]}")
        self.received += 1

    def border(self, value, now):
        """What stands before the first frame and after the last."""
        if "end" not in value:
            self.expected, self.paced, self.received = value["count"], value["gap_ns"] > 0, 0
            self.samples, self.begun = array("f"), now
            return None
        if not self.paced:
            self.samples = array("f", [self.received / ((now - self.begun) / 1e9), self.expected - self.received])
        return hawse.Tensor(memoryview(self.samples))
