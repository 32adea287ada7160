# SPDX-License-Identifier: Apache-2.0
"""The Python nodes of the kill storm (tests/storm.py, where the format of payloads and records stands); tests/storm_program.cpp is their like in C++.

Each appends what it received and sent to a file of its own, one write() a record: what has been written outlives the process.
"""
from __future__ import annotations

import collections
import os
import struct

import hawse

HEADER = struct.Struct("<QQIIII")
RECORD = struct.Struct("<BBHIIIQQ")
RECEIVED, SENT = 1, 2
GIVEN_AGAIN, DAMAGED = 1, 2


class Storm(hawse.Node):
    def setup(self, folder: str, index: int, origin: int = 0, small: int = 0, large: int = 0, every: int = 1, keep: int = 0) -> None:
        path = os.path.join(folder, self.id)
        self.folder, self.index, self.origin, self.small, self.large, self.every = folder, index, origin, small, large, every
        self.records = os.open(path + ".records", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        starts = os.open(path + ".starts", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(starts, b"x")
        self.incarnation = os.fstat(starts).st_size
        os.close(starts)
        with open(os.path.join(folder, "pattern"), "rb") as pattern:
            self.pattern = memoryview(pattern.read())
        self.kept: "collections.deque[hawse.Bytes]" = collections.deque(maxlen=keep)  # leases

    def record(self, kind: int, flags: int, writer: int, incarnation: int, origin: int, sequence: int, number: int) -> None:
        os.write(self.records, RECORD.pack(kind, flags, writer, self.incarnation, incarnation, origin, sequence, number))

    def take(self, frame: hawse.Bytes) -> tuple[int, int, int]:
        """Checks every byte. Number, offset in the pattern, origin."""
        data = memoryview(frame.data)
        number, size, origin, writer, incarnation, offset = HEADER.unpack_from(data)
        intact = size == len(data) and data[HEADER.size :] == self.pattern[offset : offset + size - HEADER.size]
        self.record(RECEIVED, GIVEN_AGAIN * frame.given_again | DAMAGED * (not intact), writer, incarnation, origin, frame.sequence, number)
        self.kept.append(frame)
        return number, offset, origin

    def finish(self) -> None:
        self.kept.clear()


class Source(Storm):
    def produce(self):
        number, end = 0, os.fstat(self.records).st_size
        if end:
            number = RECORD.unpack(os.pread(self.records, RECORD.size, end - RECORD.size))[-1]
        stop = os.path.join(self.folder, "stop")
        while not os.path.exists(stop):
            number += 1
            size = HEADER.size + (self.small if number % self.every else self.large) + number % 777
            offset = number * 2654435761 % 65521
            out = self.output.bytes(size)
            view = memoryview(out.data)
            HEADER.pack_into(view, 0, number, size, self.origin, self.index, self.incarnation, offset)
            view[HEADER.size :] = self.pattern[offset : offset + size - HEADER.size]
            del view
            yield out
            self.record(SENT, 0, self.index, self.incarnation, self.origin, out.sequence, number)


class Relay(Storm):
    def process(self, frame: hawse.Bytes) -> hawse.Bytes:
        number, offset, origin = self.take(frame)
        data = memoryview(frame.data)
        out = self.output.bytes(len(data))
        view = memoryview(out.data)
        view[:] = data
        HEADER.pack_into(view, 0, number, len(data), origin, self.index, self.incarnation, offset)
        del view
        yield out
        self.record(SENT, 0, self.index, self.incarnation, origin, out.sequence, number)


class Sink(Storm):
    def process(self, frame: hawse.Bytes) -> None:
        self.take(frame)
