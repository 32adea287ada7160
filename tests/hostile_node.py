#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node that breaks the control protocol, and writes garbage into what it shares with others: a program of its own, so that nothing of ours is between it and the socket (tests/test_hostile_node.py).

It takes part until the moment that ACTS says, does the one thing, and waits to be ended (or ends itself after a while: some acts are no offence).
Which act it is follows from how often it has been started.
"""
import json
import mmap
import os
import random
import select
import socket
import sys
import time

BEFORE_HELLO, BEFORE_READY, RUNNING = 0, 1, 2
HUGE = 2**64 - 1


def say(channel, message, fds=()):
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds))] if fds else []
    channel.sendmsg([data], rights, socket.MSG_NOSIGNAL)


def memfd():
    fd = os.memfd_create("unsealed")
    os.ftruncate(fd, 4096)
    return fd


def log(**more):
    return {"type": "log", "level": "info", "time_ns": 0, "text": "", **more}


def mutations(channel):
    """Messages that are nearly right."""
    dice = random.Random(int(os.environ["HOSTILE_SEED"]))
    values = [0, 1, -1, 2**31, 2**32, 2**63, HUGE, HUGE + 1, 1.5, 1e300, "", "x" * 1000, [], {}, None, True, [[[]]], {"a": {"b": []}}]
    right = [{"type": "grow", "port": 0, "slot_bytes": 4096, "slots": 4}, {"type": "mapped", "port": 0, "arena": 0}, {"type": "give_back", "port": 0, "arena": 0}, log(text="hello"),
             {"type": "progress", "what": "x", "done": 1, "total": 2, "unit": "B"}]
    for _ in range(dice.randrange(20)):
        message = dict(dice.choice(right))
        message[dice.choice(list(message)[1:] + ["more"])] = dice.choice(values)
        say(channel, message)


PAGES = {}  # what it shares, by the message that it came with: the runtime reads the node page at any time, a reader its link


def words(fd, values):
    """Writes these words again and again, from the first that isn't the layout's own; the file ends where it ends."""
    with mmap.mmap(fd, 0) as page:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            for at in range(8, len(page) - 7, 8):
                page[at : at + 8] = (values(at) % 2**64).to_bytes(8, "little")


def page_of_garbage(channel):
    dice = random.Random(int(os.environ["HOSTILE_SEED"]))
    words(PAGES["configure"][1], lambda at: dice.getrandbits(64) >> dice.randrange(64))


def page_that_names_its_input(channel):
    """As if it had been at one frame of its first input since before the machine started, and had counted as far as one can."""
    words(PAGES["configure"][1], lambda at: {8: 2, 16: 2**63, 40: 1, 48: HUGE, 56: 2**63}.get(at, HUGE))


def link_of_garbage(channel):
    """Whatever its reader looks at says that there is a frame (src/plane/siege_test.cpp writes anything)."""
    dice = random.Random(int(os.environ["HOSTILE_SEED"]))
    words(PAGES["output_link"][0], lambda at: HUGE - dice.getrandbits(8))


ACTS = [
    ("a second hello", RUNNING, lambda c: say(c, {"type": "hello", "protocol": 1, "pid": 1, "sdk": "", "language": ""})),
    ("bytes that are no JSON", RUNNING, lambda c: say(c, b"\xff\x00{")),
    ("bytes that are no JSON at first", BEFORE_HELLO, lambda c: say(c, os.urandom(300))),
    ("ready before hello", BEFORE_HELLO, lambda c: say(c, {"type": "ready"})),
    ("another version", BEFORE_HELLO, lambda c: say(c, {"type": "hello", "protocol": 99, "pid": 1, "sdk": "", "language": ""})),
    ("ready twice", RUNNING, lambda c: say(c, {"type": "ready"})),
    ("an unknown type", RUNNING, lambda c: say(c, {"type": "obey", "all": True})),
    ("a type that is none", BEFORE_READY, lambda c: say(c, {"type": ["log"]})),
    ("nesting", RUNNING, lambda c: say(c, b'{"type":"log","x":' + b"[" * 60000)),
    ("more than 64 KiB", RUNNING, lambda c: say(c, log(text="x" * 70000))),
    ("a port that isn't there", RUNNING, lambda c: say(c, {"type": "grow", "port": HUGE, "slot_bytes": 4096, "slots": 4})),
    ("more memory than there is", RUNNING, lambda c: say(c, {"type": "grow", "port": 0, "slot_bytes": 2**32, "slots": 16384})),
    ("an arena that wasn't given", RUNNING, lambda c: say(c, {"type": "mapped", "port": 0, "arena": 0})),
    ("giving back what it hasn't", RUNNING, lambda c: say(c, {"type": "give_back", "port": 0, "arena": 0})),
    ("giving back what it hasn't mapped", RUNNING, lambda c: [say(c, {"type": "grow", "port": 0, "slot_bytes": 4096, "slots": 4}), say(c, {"type": "give_back", "port": 0, "arena": 0})]),
    ("giving back twice", RUNNING, lambda c: [say(c, message) for message in ({"type": "grow", "port": 0, "slot_bytes": 4096, "slots": 4}, {"type": "mapped", "port": 0, "arena": 0},
                                                                               {"type": "give_back", "port": 0, "arena": 0}, {"type": "give_back", "port": 0, "arena": 0})]),
    ("giving back of a port that isn't there", RUNNING, lambda c: say(c, {"type": "give_back", "port": HUGE, "arena": 0})),
    ("a negative count", RUNNING, lambda c: say(c, {"type": "mapped", "port": -1, "arena": 0})),
    ("the end of somebody else", RUNNING, lambda c: say(c, {"type": "exited", "signal": 9})),
    ("finished before it has begun", BEFORE_READY, lambda c: say(c, {"type": "finished"})),
    ("an event of the runtime's", RUNNING, lambda c: say(c, log(event="summary", node="steady", stream="stdout", nodes=[], result="ok"))),
    ("an empty message", RUNNING, lambda c: say(c, b"")),
    ("one descriptor", RUNNING, lambda c: say(c, log(), [memfd()])),
    ("the most descriptors of a message", RUNNING, lambda c: say(c, log(), list(os.pipe()) * 4)),
    ("too many descriptors", RUNNING, lambda c: say(c, log(), [memfd() for _ in range(9)])),
    ("as many descriptors as the kernel carries", RUNNING, lambda c: say(c, log(), [0] * 253)),
    ("descriptors without a message", RUNNING, lambda c: say(c, b"", [c.fileno(), memfd()])),
    ("descriptors at first", BEFORE_HELLO, lambda c: say(c, {"type": "hello", "protocol": 1, "pid": 1, "sdk": "", "language": ""}, [memfd()] * 8)),
    ("its own socket, closed", RUNNING, lambda c: c.close()),
    ("ten thousand lines", RUNNING, lambda c: [say(c, log(level="no level", text="\x1b[2J" + "y" * 100)) for _ in range(10000)]),
    ("nearly right messages", RUNNING, mutations),
    ("a page of garbage", RUNNING, page_of_garbage),
    ("a page that names its input", RUNNING, page_that_names_its_input),
    ("a link of garbage", RUNNING, link_of_garbage),  # the last: its reader closes the edge
]


def receive(channel):
    data, rights, _, _ = channel.recvmsg(65536, socket.CMSG_SPACE(32))
    fds = [int.from_bytes(content[at : at + 4], sys.byteorder) for _, _, content in rights for at in range(0, len(content), 4)]
    if not data:
        os._exit(1)
    message = json.loads(data)
    if message["type"] in ("configure", "output_link"):
        PAGES[message["type"]] = fds
    else:
        for fd in fds:
            os.close(fd)
    if message["type"] == "configure":
        print("spin_ns:", message["spin_ns"], flush=True)
    return message["type"]


def take_part(channel, until):
    if until == BEFORE_HELLO:
        return
    say(channel, {"type": "hello", "protocol": 1, "pid": os.getpid(), "sdk": "", "language": "hostile"})
    while receive(channel) != "begin":
        pass
    if until == BEFORE_READY:
        return
    say(channel, {"type": "ready"})
    while receive(channel) != "start":
        pass


def main():
    lives = os.open(os.environ["HOSTILE_LIVES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(lives, b"x")
    name, when, act = ACTS[(os.fstat(lives).st_size - 1) % len(ACTS)]
    channel = socket.socket(fileno=int(os.environ["HAWSE_FD"]))
    take_part(channel, when)
    print("act:", name, flush=True)
    try:
        act(channel)
        end = time.monotonic() + 0.2
        while time.monotonic() < end and select.select([channel], [], [], 0.2)[0]:
            receive(channel)
    except OSError:
        pass  # the runtime has hung up
    os._exit(3)


if __name__ == "__main__":
    main()
