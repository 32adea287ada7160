# SPDX-License-Identifier: Apache-2.0
"""Two nodes send to one. One of them does what it can, from user space, to keep the reader from hearing of the other's frames: it takes the reader off whatever
word it finds it asleep on, and writes back what others wrote there, until the reader has got all of them. (The moment between a last look and the sleep is src/plane/sleep_test.cpp's business.)"""
from __future__ import annotations

import pytest
from harness import EXECUTORS, Bench

FRAMES = 300


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_neighbour_cannot_keep_a_node_from_another_s_frames(bench: Bench, executor: str) -> None:
    bench.nodes(f"""
        import ctypes, pathlib, time
        READER_SLEEPS, FUTEX, FUTEX_REQUEUE = 256, 202, 3  # plane/layout.hpp; x86-64
        class Steady(hawse.Node):
            def produce(self):
                for n in range({FRAMES}):
                    time.sleep(0.002)  # so that its reader sleeps
                    yield hawse.Bytes(n.to_bytes(8, "little"))
        class Hostile(hawse.Node):
            def setup(self, folder: str) -> None:
                self.folder = folder
            def produce(self):
                yield hawse.Bytes(b"begun")
                libc, own = ctypes.CDLL(None), ctypes.c_uint32()
                starts = [(int(line.split("-")[0], 16), line) for line in open("/proc/self/maps") if "hawse-" in line]
                doorbells = [start for start, line in starts if "hawse-doorbell" in line]
                links = [start + READER_SLEEPS for start, line in starts if "hawse-link" in line]
                before = {{word: ctypes.c_uint32.from_address(word).value for word in doorbells + links}}
                taken, done = 0, pathlib.Path(self.folder, "done")
                while not done.exists():
                    for word, value in before.items():
                        taken += libc.syscall(FUTEX, ctypes.c_void_p(word), FUTEX_REQUEUE, 0, ctypes.c_long(2**31 - 1), ctypes.byref(own), 0)
                        if word in doorbells:
                            ctypes.c_uint32.from_address(word).value = value
                print("taken", taken)
        class Reader(hawse.Node):
            def setup(self, folder: str) -> None:
                self.n, self.folder = 0, folder
            def process(self, steady: hawse.Bytes, hostile: hawse.Bytes) -> None:
                self.n += steady is not None
                if self.n == {FRAMES}:
                    pathlib.Path(self.folder, "done").touch()
    """)
    flag = bench.folder / "flag"
    flag.mkdir()
    hostile = {"params": {"folder": str(flag)}} if executor == "process" else {"params": {"folder": "/flag"}, "container": {"mounts": [f"{flag}:/flag"]}}
    bench.write({"nodes": {"steady": {"node": "nodes.py:Steady"}, "hostile": {"node": "nodes.py:Hostile", "executor": executor, **hostile},
                           "reader": {"node": "nodes.py:Reader", "params": {"folder": str(flag)}}},
                 "edges": [{"from": "steady", "to": "reader.steady", "queue": 2}, "hostile -> reader.hostile"]})
    run = bench.run_ok()
    (taken,) = [text for text in run.log("hostile") if text.startswith("taken")]
    print(taken)
    assert int(taken.split()[1]) > 0, "the reader was never found asleep"
