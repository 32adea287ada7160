#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node that speaks the protocol by itself: it grows, gives back at once, and sometimes keeps what it gave back (tests/test_give_back.py)."""
import json
import mmap
import os
import socket
import sys

channel = socket.socket(fileno=int(os.environ["HAWSE_FD"]))
MIB = 1 << 20


def say(**message):
    channel.send(json.dumps(message).encode())


def receive(*types):
    """The next message of one of these types, and its descriptors; those of others are closed."""
    while True:
        data, rights, _, _ = channel.recvmsg(65536, socket.CMSG_SPACE(32))
        fds = [int.from_bytes(content[at : at + 4], sys.byteorder) for _, _, content in rights for at in range(0, len(content), 4)]
        if not data:
            os._exit(1)
        message = json.loads(data)
        if message["type"] in types:
            return message, fds
        for fd in fds:
            os.close(fd)


def grow():
    """(id, mapping), or (None, the reason)."""
    say(type="grow", port=0, slot_bytes=MIB, slots=4)
    message, fds = receive("arena", "arena_refused")
    if message["type"] == "arena_refused":
        return None, message["reason"]
    mapping = mmap.mmap(fds[0], 4 * MIB)
    os.close(fds[0])
    say(type="mapped", port=0, arena=message["arena"])
    receive("arena_ready")
    return message["arena"], mapping


def give_back(arena):
    say(type="give_back", port=0, arena=arena)


def descriptors():
    print("descriptors", len(os.listdir(f"/proc/{os.getppid()}/fd")), flush=True)


say(type="hello", protocol=1, pid=os.getpid(), sdk="", language="growing")
receive("begin")
say(type="ready")
receive("start")
numbers = []
for _ in range(200):
    arena, mapping = grow()
    numbers.append(arena)
    mapping.close()
    give_back(arena)
    receive("arena_gone")
    if len(numbers) % 50 == 1:
        descriptors()
assert numbers == list(range(numbers[0], numbers[0] + 200)), numbers
print(f"let go: {len(numbers)} times, numbers {numbers[0]} to {numbers[-1]}", flush=True)
kept = []
while True:
    arena, mapping = grow()
    if arena is None:
        break
    kept.append(mapping)
    give_back(arena)
print("kept: refused after", len(kept), flush=True)
assert "was given back" in mapping, mapping
for mapping in kept:
    mapping.close()
    receive("arena_gone")
print("let go again:", "granted" if grow()[0] is not None else "refused", flush=True)
say(type="finished")
os._exit(0)
