# SPDX-License-Identifier: Apache-2.0
"""iceoryx2's counterpart of nodes.py: Head and Relay: one side of a round trip. Run as `ping` it starts the other side and takes the commands.

{"count", "bytes", "wait": "polling" | "sleeping", "written": bool} is answered with the round trips in ns. Both sides poll during a burst only.
"""
import ctypes
import json
import os
import subprocess
import sys
from time import monotonic_ns

import channel
import iceoryx2 as iox2
import numpy

GIVE_UP_NS = 10_000_000_000
LOOKS = 4096  # between two looks at the clock
MOST_BYTES = 1 << 20


class Ends:
    """A publisher and a subscriber, with an event each way for those that sleep. All files lie below the folder, all shared memory under the prefix."""

    def __init__(self, out, back):
        config = iox2.config.default()
        config.global_cfg.root_path = iox2.Path.new(os.environ["HAWSE_BENCH_CHANNEL"])
        config.global_cfg.prefix = iox2.FileName.new(os.environ["HAWSE_BENCH_PREFIX"])
        self.node = iox2.NodeBuilder.new().config(config).signal_handling_mode(iox2.SignalHandlingMode.Disabled).create(iox2.ServiceType.Ipc)
        frames = [self._service(name).publish_subscribe(iox2.Slice[ctypes.c_uint8]).payload_alignment(iox2.Alignment.new(64)).open_or_create()
                  for name in (out, back)]
        events = [self._service(name).event().open_or_create() for name in (out, back)]
        self.publisher = frames[0].publisher_builder().initial_max_slice_len(MOST_BYTES).create()
        self.subscriber = frames[1].subscriber_builder().create()
        self.notifier, self.listener = events[0].notifier_builder().create(), events[1].listener_builder().create()

    def _service(self, name):
        return self.node.service_builder(iox2.ServiceName.new(name))

    def send(self, number, command):
        """Every word is written, or the last byte alone."""
        sample = self.publisher.loan_slice_uninit(command["bytes"])
        payload = sample.payload()
        if command["written"]:
            numpy.frombuffer(payload.as_memory_view(), numpy.int64).fill(number)
        else:
            payload[command["bytes"] - 1] = number
        sample.assume_init().send()
        if command["wait"] == "sleeping":
            self.notifier.notify()

    def receive(self, command):
        """The number that was written, from the sum of all words or from the last byte."""
        sample, looks, begun = self.subscriber.receive(), 0, monotonic_ns()
        while sample is None:
            if command["wait"] == "sleeping":
                self.listener.timed_wait(iox2.Duration.from_secs(1))
            looks += 1
            if (command["wait"] == "sleeping" or looks % LOOKS == 0) and monotonic_ns() - begun > GIVE_UP_NS:
                raise TimeoutError("the other side doesn't answer")
            sample = self.subscriber.receive()
        payload = sample.payload()
        if command["written"]:
            words = numpy.frombuffer(payload.as_memory_view(), numpy.int64)
            number = int(words.sum()) // words.size
            del words
        else:
            number = payload[command["bytes"] - 1]
        sample.delete()
        return number


def ping(ends, command):
    samples = []
    for number in range(command["count"]):
        number %= 256
        begun = monotonic_ns()
        ends.send(number, command)
        back = ends.receive(command)
        samples.append(monotonic_ns() - begun)
        if back != number:
            raise ValueError(f"frame {number} came back as {back}")
    return samples


def pong(ends, command):
    for _ in range(command["count"]):
        ends.send(ends.receive(command), command)


def main():
    iox2.set_log_level(iox2.LogLevel.Error)
    if sys.argv[1] == "pong":
        ends = Ends("pong", "ping")
        print("ready", flush=True)
        for line in sys.stdin:
            print("ready", flush=True)
            pong(ends, json.loads(line))
        return
    with subprocess.Popen([sys.executable, __file__, "pong"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        ends = Ends("ping", "pong")
        for command in channel.commands():
            other.stdin.write(json.dumps(command) + "\n")
            other.stdin.flush()
            if not other.stdout.readline():
                raise RuntimeError("the other side ended")
            channel.answer({"id": command["id"], "samples": ping(ends, command)})
        other.stdin.close()


main()
