# SPDX-License-Identifier: Apache-2.0
"""Matched inputs: the cases that C++ and Python share, then the node's host on the real plane."""
import json
import pathlib

import pytest

import hawse
from hawse import _plane
from hawse._match import Matcher
from hawse.testing import Harness
from supervised import Supervised

CASES = json.loads((pathlib.Path(__file__).parents[2] / "tests" / "data" / "matching.json").read_text())["cases"]
LONG_NS = 60_000_000_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_gives_the_sets_and_drops_of_every_shared_case(case):
    sets, dropped = [], []
    matcher = Matcher(case["inputs"], case["tolerance"], case["wait"], case["hold"], dropped.append)
    for kind, *step in case["steps"]:
        if kind == "add":
            matcher.add(step[0], f"{step[0]}:{step[1]}", step[1], step[2])
        else:
            getattr(matcher, kind)(*step)
        found = matcher.take()
        while found is not None:
            sets.append(found)
            found = matcher.take()
    assert (sets, dropped) == (case["sets"], case["dropped"])


def test_says_when_the_first_gives_up_and_whether_it_has_room():
    matcher = Matcher(2, 5, 100, 2, lambda item: None)
    assert matcher.deadline_ns() is None
    matcher.add(0, "a", 10, 1000)
    matcher.add(1, "b", 90, 1050)
    assert matcher.deadline_ns() == 1100 and matcher.has_room(0)
    matcher.add(0, "c", 20, 1060)
    assert not matcher.has_room(0)
    matcher.expire(1100)
    assert matcher.has_room(0) and matcher.deadline_ns() == 1150


JOIN = """
import hawse

class Node(hawse.Node):
    def process(self, a: hawse.Text, b: hawse.Text, c: hawse.Text = None) -> hawse.Text:
        assert c is None
        yield hawse.Text(f"{a.text}+{b.text}")

class One(hawse.Node):
    inputs = {"a": hawse.Text, "b": hawse.Text}
    def process(self, text: hawse.Text) -> hawse.Text:
        yield text
"""


def match(**more):
    return {"tolerance_ns": 2, "wait_ns": LONG_NS, "hold": 4, **more}


def test_gives_matched_frames_at_once_and_counts_what_has_no_partner(tmp_path):
    with Supervised(tmp_path, JOIN, inputs=["a", "b"], match=match()) as node:
        node.start()
        for time in (10, 20, 30, 50):
            node.feed(hawse.Text(f"a{time}", timestamp_ns=time, trace_id=time), 0)
        for time in (11, 29, 40, 51):
            node.feed(hawse.Text(f"b{time}", timestamp_ns=time, trace_id=time), 1)
        node.end()
        got = [(frame.text, frame.timestamp_ns, frame.trace_id) for _, frame in node.receive_all()]
        assert got == [("a10+b11", 10, 10), ("a30+b29", 29, 29), ("a50+b51", 50, 50)]
        assert node.wait() == (0, "", "")
        counts = _plane.page_counts(node.page)
        assert (counts["frames_in"], counts["processed"]) == (8, 3)
        assert [_plane.link_counts(fd)["unmatched"] for fd in node.feed_fds] == [1, 1]
        assert [_plane.link_counts(fd)["leased"] for fd in node.feed_fds] == [0, 0]


def test_holds_no_more_of_an_input_than_it_may_and_loses_nothing_by_it(tmp_path):
    with Supervised(tmp_path, JOIN, inputs=["a", "b"], match=match(), queue=2) as node:
        node.start()
        for time in range(6):  # four held, two on the edge
            node.feed(hawse.Text(str(time), timestamp_ns=10 * time), 0)
        assert not node.feeds[0].can_send()
        for time in range(6):
            node.feed(hawse.Text(str(time), timestamp_ns=10 * time), 1)
            assert node.receive()[1].text == f"{time}+{time}"
        node.end()
        assert node.receive() is None
        assert node.wait()[0] == 0


def test_lets_a_frame_go_when_its_wait_is_over(tmp_path):
    with Supervised(tmp_path, JOIN, inputs=["a", "b"], match=match(wait_ns=20_000_000)) as node:
        node.start()
        node.feed(hawse.Text("alone", timestamp_ns=1), 0)
        node.until(lambda: _plane.link_counts(node.feed_fds[0])["unmatched"] == 1)
        assert _plane.link_counts(node.feed_fds[0])["leased"] == 0
        node.end()
        assert node.receive() is None
        assert node.wait()[0] == 0


def test_an_end_lets_go_what_waits_and_the_node_goes_on_to_the_end_of_the_others(tmp_path):
    with Supervised(tmp_path, JOIN, inputs=["a", "b"], match=match()) as node:
        node.start()
        node.feed(hawse.Text("a", timestamp_ns=1), 0)
        node.feeds[1].end(1)
        node.look()
        node.until(lambda: _plane.link_counts(node.feed_fds[0])["unmatched"] == 1)
        node.feed(hawse.Text("a", timestamp_ns=2), 0)
        node.until(lambda: _plane.link_counts(node.feed_fds[0])["unmatched"] == 2)
        node.end()
        assert node.wait()[0] == 0


def test_a_process_without_a_parameter_for_an_input_is_named(tmp_path):
    with Supervised(tmp_path, JOIN, node="One", inputs=["a", "b"], match=match()) as node:
        node.spawn()
        node.connect()
        failed = node.expect("failed")
        assert "inputs are matched, and process() has no parameter for 'a', 'b'; it has text" in failed["summary"]


class Join(hawse.Node):
    def process(self, a, b):
        return hawse.Text(a.text + b.text)


def test_the_harness_calls_with_a_set():
    with Harness(Join) as join:
        (given,) = join.send_matched(b=hawse.Text("b", timestamp_ns=5), a=hawse.Text("a", timestamp_ns=7))
        assert (given.text, given.timestamp_ns) == ("ab", 5)
