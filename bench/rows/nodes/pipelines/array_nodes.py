# SPDX-License-Identifier: Apache-2.0
"""Python nodes of the benchmark that use NumPy: every byte written and read, and heavy compute."""
import platform
from array import array
from time import monotonic_ns

import hawse
import numpy


class WrittenHead(hawse.Node):
    """As nodes.py:Head, with every word written before it is sent and summed when it came back."""

    outputs = {"out": hawse.Tensor, "samples": hawse.Tensor}

    def process(self, frame):
        if frame.__class__ is hawse.Json:
            command = frame.value
            self.count, self.words = command["count"], command["bytes"] // 8
            self.samples = array("f")
        else:
            total = frame.array.sum()
            self.samples.append(monotonic_ns() - self.sent)
            if total != self.words * len(self.samples):
                raise ValueError(f"frame {len(self.samples)} came back with the sum {total}")
            if len(self.samples) == self.count:
                return "samples", hawse.Tensor(self.samples)
        self.sent = monotonic_ns()
        out = self.output.tensor(self.words, "int64")
        out.array.fill(len(self.samples) + 1)
        return out


class WrittenRelay(hawse.Node):
    """Reads every word, and answers with a frame that it writes anew."""

    def process(self, frame: hawse.Tensor) -> hawse.Tensor:
        value = frame.array.sum() // frame.array.size
        out = self.output.like(frame)
        out.array.fill(value)
        return out


class Multiply(hawse.Node):
    """Multiplies two float32 matrices of {"size"} {"count"} times: ns each. {"about": true}: versions, as JSON."""

    outputs = {"samples": None}

    def process(self, command: hawse.Json):
        wanted = command.value
        if "about" in wanted:
            return hawse.Json({"numpy": numpy.__version__, "python": platform.python_version()})
        size = wanted["size"]
        numbers = numpy.random.default_rng(1)
        a, b = (numbers.random((size, size), dtype=numpy.float32) for _ in range(2))
        c = numpy.empty_like(a)
        samples = numpy.empty(wanted["count"], numpy.float32)
        for i in range(wanted["count"]):
            begun = monotonic_ns()
            numpy.matmul(a, b, out=c)
            samples[i] = monotonic_ns() - begun
        if not numpy.isclose(c[0, 0], float(a[0].astype(numpy.float64) @ b[:, 0]), rtol=1e-3):
            raise ValueError("the product is wrong")
        return hawse.Tensor(samples)
