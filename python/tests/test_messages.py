# SPDX-License-Identifier: Apache-2.0
"""Descriptors on the control socket are counted and limited, and closed where the message is refused (conftest counts what is left open)."""
import json
import os
import socket

import pytest
from hawse._messages import Control
from supervised import Supervised


@pytest.fixture
def ends():
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control = Control(ours.detach())
    yield theirs, control
    control.hang_up()
    theirs.close()


def send(theirs, data, count):
    read, write = os.pipe()
    socket.send_fds(theirs, [data], [read] * count)
    os.close(read)
    os.close(write)


def test_eight_descriptors_arrive_and_are_the_callers(ends):
    send(ends[0], b'{"type": "x"}', 8)
    message, fds = ends[1].receive()
    assert message == {"type": "x"} and len(set(fds)) == 8
    for fd in fds:
        assert not os.get_inheritable(fd)
        os.close(fd)


@pytest.mark.parametrize(("data", "count"), [(b'{"type": "x"}', 9), (b'{"type": "x"}', 253), (b'{"type": "' + b"x" * 70000 + b'"}', 2), (b"no JSON", 3)])
def test_a_message_over_the_limits_is_refused_and_its_descriptors_are_closed(ends, data, count):
    send(ends[0], data, count)
    with pytest.raises(ValueError):
        ends[1].receive()


def test_descriptors_without_a_message_are_closed(ends):
    send(ends[0], b"", 4)
    assert ends[1].receive() is None


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_node_refuses_a_link_with_another_number_of_descriptors(tmp_path, count):
    source = "import hawse\nclass Takes(hawse.Node):\n    def process(self, tensor: hawse.Tensor) -> None: ...\n"
    with Supervised(tmp_path, source, "Takes", inputs=["tensor"], outputs=[]) as node:
        node.start()
        send(node.socket, json.dumps({"type": "input_link", "link": 0}).encode(), count)
        code, _, err = node.wait()
        assert code == 1 and f"came with {count} descriptors" in json.dumps(node.messages) + err
