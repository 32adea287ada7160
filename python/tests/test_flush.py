# SPDX-License-Identifier: Apache-2.0
"""Flushes: what was sent and not yet taken is void, and the reader hears of it before anything else. The node's host as a real process."""
import hawse
from hawse import _plane
from hawse.testing import Harness
from supervised import Supervised

NODES = """
import time
import hawse

class Slow(hawse.Node):
    def process(self, text: hawse.Text) -> hawse.Text:
        self.log.info("process %s", text.text)
        if text.text == "wait":
            while not self.interrupted:
                time.sleep(0.001)
            self.log.info("interrupted")
            return None
        return hawse.Text(text.text)

    def flushed(self, port):
        self.log.info("flushed %s", port)

class Many(hawse.Node):
    def process(self, text: hawse.Text) -> hawse.Text:
        for n in range(50):
            yield hawse.Text(f"{text.text} {n}")
        self.log.info("gave all of %s", text.text)

class Lists(hawse.Node):
    def process(self, text: hawse.Text) -> hawse.Text:
        return [hawse.Text(f"{text.text} {n}") for n in range(50 if text.text == "old" else 2)]

class Stops(hawse.Node):
    def process(self, text: hawse.Text) -> hawse.Text:
        return text.text

    def flushed(self, port):
        self.log.info("flushed")
        return False

class Pair(hawse.Node):
    def process(self, a: hawse.Text, b: hawse.Text) -> hawse.Text:
        return a.text + b.text

class Fails(hawse.Node):
    def process(self, text: hawse.Text) -> None: ...

    def flushed(self, port):
        raise ValueError("no flush here")
"""


def counts(node, link=0):
    return _plane.link_counts(node.feed_fds[link])


def test_a_flush_voids_what_waits_and_comes_before_what_follows(tmp_path):
    with Supervised(tmp_path, NODES, node="Slow", inputs=["text"]) as node:
        node.start()
        node.feed(hawse.Text("wait"))
        node.until(lambda: ("info", "process wait") in node.log)
        for n in range(5):
            node.feed(hawse.Text(f"void {n}"))
        node.feeds[0].flush(7)
        node.feed(hawse.Text("new"))
        assert node.receive() == ("out", None), "the flush is passed on"
        assert node.receive()[1].text == "new"
        node.end()
        assert node.receive() is None
        assert node.wait()[0] == 0
        assert [text for _, text in node.log] == ["process wait", "interrupted", "flushed text", "process new"]
        assert (counts(node)["flushed"], counts(node)["dropped"], counts(node)["received"], counts(node)["leased"]) == (5, 0, 2, 0)


def test_what_has_no_room_is_given_up_and_a_generator_ends_at_its_next_yield(tmp_path):
    for kind in ("Many", "Lists"):
        folder = tmp_path / kind
        folder.mkdir()
        with Supervised(folder, NODES, node=kind, inputs=["text"], queue=2) as node:
            node.start()
            node.feed(hawse.Text("old"))
            node.until(lambda: _plane.link_counts(node.reader_fds[0])["sent"] == 2)  # its edge is full, and nobody reads
            node.feeds[0].flush(7)
            node.until(lambda: node.readers[0].flush_waiting)
            assert node.receive() == ("out", None)
            node.feed(hawse.Text("new"))
            assert node.receive()[1].text == "new 0", "nothing that is void comes after the flush"
            assert node.receive()[1].text == "new 1"
            node.end()
            rest = [frame.text for _, frame in node.receive_all()]
            assert node.wait()[0] == 0
            sent = _plane.link_counts(node.reader_fds[0])
            assert sent["flushed"] >= 3 and sent["dropped"] == 0
            assert ("info", "gave all of old") not in node.log
            assert len(rest) == (48 if kind == "Many" else 0)


def test_a_node_may_keep_a_flush_to_itself(tmp_path):
    with Supervised(tmp_path, NODES, node="Stops", inputs=["text"]) as node:
        node.start()
        node.feeds[0].flush(7)
        node.feed(hawse.Text("new"))
        assert node.receive()[1].text == "new"
        assert node.log == [("info", "flushed")]


def test_one_flush_that_comes_by_several_ways_is_heard_once(tmp_path):
    with Supervised(tmp_path, NODES, node="Slow", inputs=["text"], links=[0, 0, 0]) as node:
        node.start()
        for feed in node.feeds:
            feed.flush(77)
        node.feed(hawse.Text("new"))
        assert node.receive() == ("out", None)
        assert node.receive()[1].text == "new"
        node.feeds[2].flush(78)
        assert node.receive() == ("out", None)
        node.until(lambda: node.log.count(("info", "flushed text")) == 2)


def test_a_flush_lets_go_what_waits_for_partners(tmp_path):
    match = {"tolerance_ns": 2, "wait_ns": 60_000_000_000, "hold": 2}
    with Supervised(tmp_path, NODES, node="Pair", inputs=["a", "b"], match=match) as node:
        node.start()
        for time in (1, 10, 20):  # the third stays on the edge, which is passed over: the flush comes through all the same
            node.feed(hawse.Text(f"a{time}", timestamp_ns=time), 0)
        node.until(lambda: counts(node)["received"] == 2)
        node.feeds[0].flush(7)
        assert node.receive() == ("out", None)
        node.feed(hawse.Text("a", timestamp_ns=30), 0)
        node.feed(hawse.Text("b", timestamp_ns=30), 1)
        assert node.receive()[1].text == "ab"
        node.until(lambda: counts(node)["leased"] == 0)
        assert (counts(node)["unmatched"], counts(node)["flushed"], counts(node)["dropped"]) == (2, 1, 0)


def test_a_failure_in_flushed_is_the_nodes(tmp_path):
    with Supervised(tmp_path, NODES, node="Fails", inputs=["text"], outputs=[]) as node:
        node.start()
        node.feeds[0].flush(7)
        failed = node.expect("failed")
        assert (failed["phase"], failed["summary"]) == ("flushed", "ValueError: no flush here")


class Agent(hawse.Node):
    def setup(self):
        self.kept = []

    def process(self, text):
        if text.text == "stop":
            self.output.flush()
        self.kept.append(text.text)

    def flushed(self, port):
        self.kept.clear()
        return port == "text"


def test_the_harness_flushes_and_shows_what_was_flushed():
    with Harness(Agent) as agent:
        agent.send(hawse.Text("go"))
        assert agent.flushes == []
        assert agent.flush() is True and agent.node.kept == []
        assert agent.flush("other") is False
        agent.send(hawse.Text("stop"))
        assert agent.flushes == ["out"] and not agent.node.interrupted
