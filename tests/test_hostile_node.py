# SPDX-License-Identifier: Apache-2.0
"""A node that breaks the control protocol in every way we could think of ends itself and nothing else; what it sent is not kept.

The messages of a node are fuzzed, too (src/runtime/messages_fuzz.cpp), and what it writes into shared memory is src/plane/siege_test.cpp's business.
"""
from __future__ import annotations

import json
import os
import pathlib
import random
import time

from harness import Bench
from hostile_node import ACTS

HERE = pathlib.Path(__file__).parent
REFUSALS = ("broke the control protocol: ", "speaks protocol 99")
# A runtime may live with these: what it does about them concerns the node alone. An empty message reads as a hang-up.
NO_OFFENCE = {"more memory than there is", "the end of somebody else", "an event of the runtime's", "an empty message", "descriptors without a message",
              "its own socket, closed", "ten thousand lines", "nearly right messages", "a page of garbage", "a page that names its input",
              "a link of garbage"}


def descriptors(process: int) -> int:
    """The least of a few looks: while the next start is under way there are some more."""
    seen = []
    for _ in range(4):
        time.sleep(0.05)
        seen.append(len(os.listdir(f"/proc/{process}/fd")))
    return min(seen)


def test_a_node_that_breaks_the_protocol_ends_itself_and_nothing_else(bench: Bench) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    env = {"HOSTILE_LIVES": str(bench.folder / "lives"), "HOSTILE_SEED": str(seed)}
    restart = {"on": "failure", "attempts": len(ACTS), "backoff": 0}
    bench.nodes("""
        import os, time
        class Steady(hawse.Node):
            def setup(self, stop: str) -> None:
                self.stop = stop
            def produce(self):
                n = 0
                while not os.path.exists(self.stop):
                    n += 1
                    yield hawse.Bytes(n.to_bytes(8, "little") * 50)
                    time.sleep(0.002)
                print("sent", n)
        class Check(hawse.Node):
            def setup(self) -> None:
                self.n = 0
            def process(self, data: hawse.Bytes) -> None:
                self.n += 1
                assert bytes(data.data) == self.n.to_bytes(8, "little") * 50
            def finish(self) -> None:
                print("received", self.n)
    """)
    bench.write({"nodes": {"steady": {"node": "nodes.py:Steady", "params": {"stop": str(bench.folder / "stop")}}, "check": {"node": "nodes.py:Check"},
                           "hostile": {"node": str(HERE / "hostile_node.py"), "env": env, "restart": restart, "spin": "70us"}, "sink": {"node": "test/sink"}},
                 "edges": ["steady -> check", "hostile.out -> sink", {"from": "steady", "to": "hostile.frame", "when_full": "drop_oldest"}]})
    process = bench.start()
    held: list[int] = []
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        event = json.loads(line)
        if event["event"] == "failure" and event["node"] == "hostile" or event["event"] == "session" and event["state"] == "running":
            held.append(descriptors(process.pid))
        if event["event"] == "failure" and not event["restarting"]:
            (bench.folder / "stop").touch()
    run = bench.finish(process)
    run.events = [json.loads(line) for line in lines]
    failures = [e for e in run.of("failure", "hostile")]
    acts = [text.removeprefix("act: ") for text in run.log("hostile") if text.startswith("act: ")]
    assert acts == [name for name, _, _ in ACTS]
    assert {text for text in run.log("hostile") if text.startswith("spin_ns: ")} == {"spin_ns: 70000"}, "what the manifest says reaches the node"
    assert len(failures) == len(ACTS)
    told = dict(zip(acts, (failure["text"] for failure in failures)))
    print(json.dumps(told, indent=1), held)
    assert {name for name, text in told.items() if not text.startswith(REFUSALS)} <= NO_OFFENCE
    # The first looks may all fall between two lives, which has what a node is talked to with missing: three counts are where it begins.
    assert max(held) - max(held[:3]) <= 2, f"descriptors of the runtime over the lives of the hostile node: {held}"
    (sent,), (received,) = (x for x in run.log("steady")), (x for x in run.log("check"))
    assert sent.split()[1] == received.split()[1]
    assert run.code == 5 and not run.of("failure", "steady") and not run.of("failure", "check")
    (summary,) = run.of("summary")
    edge = {e["from"]: e for e in summary["edges"]}["hostile.out"]
    assert edge["rejected"] >= 1 and [e.get("rejected", 0) for e in summary["edges"] if e is not edge] == [0, 0]
    assert any("broke the rules of the shared memory" in text for text in run.log("sink"))
    by_page = failures[acts.index("a page that names its input")]["frame"]
    assert (by_page["edge"], by_page["sequence"], by_page["timestamp_ns"]) == ("steady.out -> hostile.frame", 2**64 - 1, -(2**63)), "believed of its own input, and of nothing else"
    assert {n["node"]: n["state"] for n in summary["nodes"]} == {"steady": "ended", "check": "ended", "hostile": "failed", "sink": "ended"}
