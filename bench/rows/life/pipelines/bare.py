# SPDX-License-Identifier: Apache-2.0
"""The least a Python node can be: a source that ends at once, and one that takes what it gets."""
import hawse


class Ends(hawse.Node):
    def produce(self) -> hawse.Bytes:
        raise hawse.EndOfStream


class PassesOn(hawse.Node):
    def process(self, frame: hawse.Frame) -> hawse.Frame:
        return frame
