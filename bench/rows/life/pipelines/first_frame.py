# SPDX-License-Identifier: Apache-2.0
"""One frame from one process to another, which prints when it had it in hand (CLOCK_MONOTONIC)."""
import time

import hawse


class Sends(hawse.Node):
    def produce(self):
        yield hawse.Text("first")


class Prints(hawse.Node):
    def process(self, text: hawse.Text) -> None:
        print("in hand at", time.monotonic_ns(), flush=True)
