# SPDX-License-Identifier: Apache-2.0
"""Nodes that meet their limits, one each, and one that waits to be killed. Clock: CLOCK_MONOTONIC."""
import os
import time

import hawse


class Eats(hawse.Node):
    def process(self, tensor: hawse.Tensor) -> None:
        kept = []
        while True:
            print("at", time.monotonic_ns(), flush=True)
            kept.append(b"x" * (1 << 20))


class Forks(hawse.Node):
    def process(self, tensor: hawse.Tensor) -> None:
        children = []
        try:
            while len(children) < 200:
                child = os.fork()
                if child == 0:
                    time.sleep(60)
                    os._exit(0)
                children.append(child)
        finally:
            print("started", len(children), flush=True)
            for child in children:
                os.kill(child, 9)
                os.waitpid(child, 0)


class Spins(hawse.Node):
    def process(self, tensor: hawse.Tensor) -> None:
        begun, used = time.monotonic(), time.process_time()
        while time.monotonic() - begun < 1.5:
            pass
        print("share", (time.process_time() - used) / (time.monotonic() - begun), flush=True)


class Waits(hawse.Node):
    def process(self, tensor: hawse.Tensor) -> None:
        print("waiting", flush=True)
        time.sleep(600)
