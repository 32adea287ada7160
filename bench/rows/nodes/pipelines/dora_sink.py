# SPDX-License-Identifier: Apache-2.0
"""dora's counterpart of nodes.py:Receiver. Paced: samples are the times from send_output to the receipt, in ns. Else: frames a second."""
import os
from time import monotonic_ns

import channel
from dora import Node

samples, received, first_ns, last_ns, paced = [], 0, 0, 0, False
for event in Node():
    now = monotonic_ns()
    if event["type"] == "STOP":
        break
    if event["type"] != "INPUT":
        continue
    about = event["metadata"]
    kind = about["kind"]
    if kind == "frame":
        received += 1
        first_ns, last_ns = first_ns or now, now
        if paced:
            samples.append(now - about["sent"])
            value = event["value"].to_numpy(zero_copy_only=True)
            if value[-1] != about["number"]:
                raise ValueError(f"frame {about['number']} came as {value[-1]}")
            del value
    elif kind == "begin":
        samples, received, first_ns, last_ns, paced = [], 0, 0, 0, about["paced"]
    elif kind == "end":
        if not paced and received > 1:
            samples = [(received - 1) / ((last_ns - first_ns) / 1e9)]
        channel.answer({"id": about["id"], "samples": samples, "lost": about["count"] - received})
    elif kind == "first" and not os.path.exists(channel.path("seen")):
        channel.answer({"id": 0, "first_ns": now})
        open(channel.path("seen"), "w").close()
    event = about = None
