# SPDX-License-Identifier: Apache-2.0
"""One real edge inside this process: an output port, an arena, a link, an input link, and the loop of each side."""
import os

from hawse import _plane


class Pair:
    def __init__(self, slot_bytes=4096, slots=4, queue=4, when_full=0, arena=True):
        self.fds = []
        self.writer_bell, self.reader_bell = self.fd(_plane.create_doorbell()), self.fd(_plane.create_doorbell())
        self.page = self.fd(_plane.create_node_page())
        self.link_fd = self.fd(_plane.create_link(queue, when_full))
        self.port, self.link = _plane.OutputPort(), _plane.InputLink()
        self.port.set_link(0, self.link_fd, self.reader_bell, queue, when_full)
        self.link.connect(self.link_fd, self.writer_bell)
        self.writer, self.reader = _plane.Loop(self.writer_bell, -1, 0), _plane.Loop(self.reader_bell, self.page, 0)
        self.writer.add_output(self.port)
        self.reader.add_input(self.link)
        self.arenas = 0
        if arena:
            self.grow(slot_bytes, slots)

    def fd(self, fd):
        self.fds.append(fd)
        return fd

    def grow(self, slot_bytes, slots):
        number, self.arenas = self.arenas, self.arenas + 1
        arena = self.fd(_plane.create_arena(slot_bytes, slots))
        self.port.add_arena(arena, number, slot_bytes, slots)
        _plane.seal_arena(arena)
        self.link.add_arena(arena, number, slot_bytes, slots)
        self.port.enable_arena(number)
        return arena

    def counts(self):
        return _plane.link_counts(self.link_fd)

    def next(self):
        frame, link = self.reader.next(5_000_000_000)
        assert link == 0
        return frame

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
