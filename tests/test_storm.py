# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of nodes at random moments under load: no frame of a `block` edge is lost, none is corrupt, the others go on, nothing piles up.

tests/storm.py has the pipeline and the promises. Environment variables for the long form and to see a run again:
    HAWSE_STORM_KILLS=1000   kills a test (short form: see below)
    HAWSE_STORM_SEED=7       the seed of what is killed when (each run prints its own)
"""
from __future__ import annotations

import os
import random
import signal
import time
import typing

import pytest
from harness import EXECUTORS, Bench
from storm import PARTS, Storm
from storm_check import check

KILLS = int(os.environ.get("HAWSE_STORM_KILLS", "0"))
SEED = int(os.environ.get("HAWSE_STORM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)

VICTIMS = {
    "any node": [part.name for part in PARTS],
    "readers alone": ["tap", "end", "also"],
    "writers alone": ["pysource", "ccsource"],
}


@pytest.fixture
def storm_of(bench: Bench, capsys: pytest.CaptureFixture[str]) -> typing.Iterator[typing.Callable[[str], Storm]]:
    storms: list[Storm] = []

    def start(executor: str) -> Storm:
        with capsys.disabled():
            print(f" seed {SEED} ", end="", flush=True)
        storms.append(Storm(bench, executor, SEED))
        return storms[-1]
    yield start
    for storm in storms:
        storm.abort()


# However many are killed. An arena more or less a port is the luck of which frame came first, and the runtime has all of them.
SLACK = {"descriptors": 12, "maps": 24, "threads": 4, "anonymous_kib": 8192, "shared_kib": 32768}


def piled_up(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]], survivors: typing.Iterable[str]) -> list[str]:
    return [f"{name}: {what} went from {before[name][what]} to {after[name][what]}" for name in ["runtime", *survivors] if name in before and name in after
            for what, allowed in SLACK.items() if after[name][what] - before[name][what] > allowed]


def assert_nothing_piles_up(storm: Storm, before: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Links that a death left go when what they held has been taken: a moment after the storm has settled."""
    survivors = [name for name, life in storm.lives.items() if life.kills == 0]
    end = time.monotonic() + 30
    while piled_up(before, after := storm.holdings(), survivors) and time.monotonic() < end:
        time.sleep(0.1)
    assert not piled_up(before, after, survivors), (piled_up(before, after, survivors), storm.describe())
    return after


def end_and_check(storm: Storm, executor: str = "process") -> str:
    run = storm.end()
    assert run.code == 0, f"{run.stderr} {storm.describe()}"
    for name, life in storm.lives.items():
        assert storm.failures[name] == life.kills, f"{name} was killed {life.kills} times and failed {storm.failures[name]} times: {run.of('failure', name)}"
    for failure in run.of("failure"):
        assert failure["restarting"] and (executor == "container" or failure.get("signal") == 9), failure
    return check(storm.folder)


@pytest.mark.parametrize("victims", VICTIMS)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_storm_of_kills_loses_no_frame(storm_of: typing.Callable[[str], Storm], executor: str, victims: str) -> None:
    kills = KILLS or (24 if victims == "any node" else 8) // (2 if executor == "container" else 1)
    storm = storm_of(executor)
    storm.begin()
    before = storm.holdings()
    storm.rage(kills, VICTIMS[victims])
    storm.await_frames(100)
    after = assert_nothing_piles_up(storm, before)
    told = end_and_check(storm, executor)
    print(f"{told}\nbefore {before}\nafter  {after}")


def test_a_reader_that_stands_still_misses_nothing_however_often_its_writer_dies(storm_of: typing.Callable[[str], Storm]) -> None:
    storm = storm_of("process")
    storm.begin()
    assert storm.send_signal("also", signal.SIGSTOP)
    for _ in range(24):
        storm.kill("mix")
        storm.await_up("mix")
        time.sleep(0.05)  # its replacement sends until the queue is full
    storm.send_signal("also", signal.SIGCONT)
    storm.await_settled()
    print(end_and_check(storm))


@pytest.mark.parametrize("victims", [["mix", "also"], ["also", "mix"], ["mix", "mix", "also"], ["also", "mix", "also"]], ids=" then ".join)
@pytest.mark.parametrize("wait", [False, True], ids=["at once", "when it runs again"])
def test_frames_that_wait_outlive_both_ends(storm_of: typing.Callable[[str], Storm], victims: list[str], wait: bool) -> None:
    """The queue is full and the reader stands still when the first dies."""
    storm = storm_of("process")
    storm.begin()
    assert storm.send_signal("also", signal.SIGSTOP)
    time.sleep(0.3)
    for name in victims:
        storm.await_up(name)
        storm.kill(name)
        if wait:
            storm.await_up(name)
    storm.await_settled()
    print(end_and_check(storm))
