# SPDX-License-Identifier: Apache-2.0
"""dora's counterpart of nodes.py:Sender: the same frames at the same pace. send_output copies the array into dora's shared memory."""
import os
from time import monotonic_ns, sleep

import channel
import numpy
import pyarrow
from dora import Node

node = Node()
border = pyarrow.array([0], pyarrow.int64())
if "HAWSE_BENCH_FIRST_FRAME" in os.environ:
    while not os.path.exists(channel.path("seen")):  # dora drops what is sent before its nodes have found each other
        node.send_output("out", border, {"kind": "first"})
        sleep(0.001)
for wanted in channel.commands():
    words = numpy.zeros(wanted["bytes"] // 8, numpy.int64)
    array, gap_s = pyarrow.array(words), wanted["gap_ns"] / 1e9
    node.send_output("out", border, {"kind": "begin", "paced": gap_s > 0})
    sleep(0.05)
    for number in range(wanted["count"]):
        if gap_s:
            sleep(gap_s)
            words[-1] = number
            node.send_output("out", array, {"kind": "frame", "number": number, "sent": monotonic_ns()})
        else:
            node.send_output("out", array, {"kind": "frame"})
    sleep(0.5)  # small and large frames take different ways, and the end must come last
    node.send_output("out", border, {"kind": "end", "id": wanted["id"], "count": wanted["count"]})
