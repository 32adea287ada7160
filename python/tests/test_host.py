# SPDX-License-Identifier: Apache-2.0
"""The node's host as a real process, over a real socket and the real plane."""
import os
import signal
import sys

import pytest

import hawse
from hawse import _plane
from supervised import Supervised

numpy = pytest.importorskip("numpy")


def site_of(module):
    return os.path.dirname(os.path.dirname(os.path.abspath(module.__file__)))


NUMPY = [site_of(numpy)]

ECHO = """
import hawse

class Node(hawse.Node):
    def process(self, text: hawse.Text) -> hawse.Text:
        return hawse.Text(text.text.upper())
"""


def test_greets_is_configured_and_gets_ready_with_its_phases(tmp_path):
    with Supervised(tmp_path, ECHO, inputs=["text"]) as node:
        node.start()
        assert node.hello["protocol"] == 1
        assert node.hello["pid"] == node.process.pid
        assert node.hello["sdk"] == hawse.__version__
        assert node.hello["language"].startswith("python 3.")
        assert node.ready["phases"]["import_ns"] > 0
        assert node.ready["phases"]["setup_ns"] > 0


def test_handles_frames_in_order_and_ends_by_itself(tmp_path):
    with Supervised(tmp_path, ECHO, inputs=["text"]) as node:
        node.start()
        for i in range(100):
            node.feed(hawse.Text(f"frame {i}", timestamp_ns=1000 + i, trace_id=7 + i))
            port, frame = node.receive()
            assert port == "out"
            assert frame.text == f"FRAME {i}"
            assert frame.timestamp_ns == 1000 + i
            assert frame.trace_id == 7 + i
            assert frame.sequence == i + 1
        del frame
        node.end()
        assert node.receive() is None
        node.expect("finished")
        code, out, err = node.wait()
        assert (code, out, err) == (0, "", "")
        counts = _plane.page_counts(node.page)
        assert (counts["frames_in"], counts["frames_out"], counts["processed"]) == (100, 100, 100)
        assert counts["state"] == 3
        assert _plane.link_counts(node.reader_fds[0])["copies"] == 0


SPEECH = """
import hawse
import numpy

class Node(hawse.Node):
    def setup(self, frames: int = 3) -> None:
        self.frames, self.utterance = frames, []

    def process(self, audio: hawse.Audio) -> hawse.Audio:
        assert not audio.samples.flags.writeable
        self.utterance.append(audio)
        if len(self.utterance) == self.frames:
            yield self.cut()

    def finish(self) -> hawse.Audio:
        if self.utterance:
            yield self.cut()

    def cut(self) -> hawse.Audio:
        first, count = self.utterance[0], sum(len(a.samples) for a in self.utterance)
        out = self.output.audio(samples=count, channels=1, rate=first.rate, timestamp_ns=first.timestamp_ns)
        at = 0
        for audio in self.utterance:
            out.samples[at:at + len(audio.samples)] = audio.samples
            at += len(audio.samples)
        self.utterance = []
        return out
"""


def test_keeps_frames_leased_and_joins_them_in_place(tmp_path):
    with Supervised(tmp_path, SPEECH, inputs=["audio"], params={"frames": 5}, path=NUMPY) as node:
        node.start()
        for i in range(12):
            node.feed(hawse.Audio(numpy.full((512, 1), i, "float32"), rate=16000, timestamp_ns=i * 32_000_000))
        node.end()
        given = [frame for _, frame in node.receive_all()]
        assert [len(frame.samples) for frame in given] == [2560, 2560, 1024]
        assert [frame.timestamp_ns for frame in given] == [0, 160_000_000, 320_000_000]
        assert given[1].samples[:, 0].tolist() == [float(5 + i // 512) for i in range(2560)]
        assert _plane.link_counts(node.reader_fds[0])["copies"] == 0
        del given
        assert node.wait()[0] == 0
