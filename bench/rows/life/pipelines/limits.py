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
    """Goes on for a while after the refusal: the run hears of it from the kernel, not from the node's end."""

    def process(self, tensor: hawse.Tensor) -> None:
        children = []
        try:
            while len(children) < 200:
                child = os.fork()
                if child == 0:
                    time.sleep(60)
                    os._exit(0)
                children.append(child)
        except OSError:
            print("at", time.monotonic_ns(), flush=True)
            time.sleep(0.5)
        finally:
            print("started", len(children), flush=True)
            for child in children:
                os.kill(child, 9)
                os.waitpid(child, 0)


class Parent(hawse.Node):
    """Its child eats, and is killed; the node lives on."""

    def process(self, tensor: hawse.Tensor) -> None:
        child = os.fork()
        if child == 0:
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write("1000")  # it, not its parent
            kept = []
            while True:
                print("at", time.monotonic_ns(), flush=True)
                kept.append(b"x" * (1 << 20))
        os.waitpid(child, 0)
        time.sleep(0.5)


class Waits(hawse.Node):
    def process(self, tensor: hawse.Tensor) -> None:
        print("waiting", flush=True)
        time.sleep(600)
