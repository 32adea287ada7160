# SPDX-License-Identifier: Apache-2.0
"""Compares what the nodes of a kill storm wrote down (tests/storm.py has the rules)."""
from __future__ import annotations

import collections
import pathlib
import typing

from storm import DAMAGED, EDGES, GIVEN_AGAIN, PARTS, RECEIVED, RECORD, SENT

INDEX = {part.name: index for index, part in enumerate(PARTS)}


class Records:
    """One node's file: what it sent, by its own lives, and what it received, by sender, in the order of receipt."""

    def __init__(self, path: pathlib.Path) -> None:
        self.sent: dict[int, dict[int, tuple[int, int]]] = collections.defaultdict(dict)  # life -> sequence -> origin, number
        self.received: dict[int, list[tuple[int, int, int, int, int, int]]] = collections.defaultdict(list)
        data = path.read_bytes()
        assert len(data) % RECORD.size == 0
        for kind, flags, writer, life, writer_life, origin, sequence, number in RECORD.iter_unpack(data):
            if kind == SENT:
                self.sent[life][sequence] = (origin, number)
            else:
                assert kind == RECEIVED
                self.received[writer].append((life, writer_life, sequence, flags, origin, number))

    def numbers_sent(self) -> dict[int, set[int]]:
        numbers: dict[int, set[int]] = collections.defaultdict(set)
        for life in self.sent.values():
            for origin, number in life.values():
                numbers[origin].add(number)
        return numbers

    def numbers_received(self) -> dict[int, set[int]]:
        numbers: dict[int, set[int]] = collections.defaultdict(set)
        for frames in self.received.values():
            for *_, origin, number in frames:
                numbers[origin].add(number)
        return numbers


def check_edge(name: str, writer: Records, index: int, reader: Records) -> tuple[list[str], int, int]:
    """Problems in words, frames received, frames given again."""
    problems: list[str] = []
    got: dict[int, dict[int, tuple[int, int]]] = collections.defaultdict(dict)
    life, newest_here, newest_unmarked, again = 0, (0, 0), (0, 0), 0
    for mine, theirs, sequence, flags, origin, number in reader.received[index]:
        where = f"{name}: frame {sequence} of the sender's life {theirs} in the reader's life {mine}"
        if flags & DAMAGED:
            problems.append(f"{where} is corrupt")
        if mine != life:
            life, newest_here = mine, (0, 0)
        if (theirs, sequence) <= newest_here:
            problems.append(f"{where} came after frame {newest_here[1]} of life {newest_here[0]}")
        newest_here = (theirs, sequence)
        if flags & GIVEN_AGAIN:
            again += 1
            if mine == 1:
                problems.append(f"{where} is marked given again to the first that ever read")
        else:
            if theirs < newest_unmarked[0] or sequence <= newest_unmarked[1]:
                problems.append(f"{where} came again unmarked, after frame {newest_unmarked[1]} of life {newest_unmarked[0]}")
            newest_unmarked = (theirs, sequence)
        if got[theirs].setdefault(sequence, (origin, number)) != (origin, number):
            problems.append(f"{where} has another content than before")
    for their_life, frames in writer.sent.items():
        lost = [sequence for sequence, content in frames.items() if got[their_life].get(sequence) != content]
        if lost:
            problems.append(f"{name}: {len(lost)} frames that were sent never came, of life {their_life}: {lost[:5]}..., it sent {min(frames)} to {max(frames)}")
    last = 0
    for their_life in sorted(got):
        if not got[their_life]:
            continue
        first, end = min(got[their_life]), max(got[their_life])
        if end - first + 1 != len(got[their_life]):
            problems.append(f"{name}: life {their_life} of the sender has a gap between {first} and {end}: {len(got[their_life])} frames")
        if last and first - last > 2:
            problems.append(f"{name}: from life to life the sequence jumps from {last} to {first}")
        last = end
    return problems, len(reader.received[index]), again


def check(folder: pathlib.Path) -> str:
    """Raises AssertionError with every promise that was broken; else what was seen, in words."""
    records = {part.name: Records(folder / f"{part.name}.records") for part in PARTS}
    problems: list[str] = []
    told: list[str] = []
    for writer, reader, _ in EDGES:
        found, frames, again = check_edge(f"{writer} -> {reader}", records[writer], INDEX[writer], records[reader])
        problems += found
        told.append(f"{writer} -> {reader} {frames} frames, {again} given again")
    sources = {INDEX[part.name]: records[part.name].numbers_sent()[INDEX[part.name]] for part in PARTS if part.kind == "Source"}
    for origin, numbers in sources.items():
        if numbers != set(range(1, max(numbers) + 1)):
            problems.append(f"the source {PARTS[origin].name} skipped a number: the test itself is wrong")
    for part in PARTS:
        received = records[part.name].numbers_received()
        for origin in _origins_of(part.name):
            missing = sources[origin] - received[origin]
            if missing:
                problems.append(f"{part.name}: {len(missing)} frames of {PARTS[origin].name} never came: {sorted(missing)[:5]}...")
            if part.kind == "Relay" and received[origin] - records[part.name].numbers_sent()[origin]:
                problems.append(f"{part.name}: received frames of {PARTS[origin].name} that it never sent on")
    assert not problems, f"{len(problems)} promises were broken:\n" + "\n".join(problems[:40])
    return "; ".join(told)


def _origins_of(name: str) -> typing.Iterator[int]:
    """The sources whose frames come to this node."""
    for writer, reader, _ in EDGES:
        if reader == name:
            yield from [INDEX[writer]] if not any(b == writer for _, b, _ in EDGES) else _origins_of(writer)
