# SPDX-License-Identifier: Apache-2.0
"""The node's host as a real process, over a real socket and the real plane."""
import os
import signal
import sys
import time

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


# ---- sources ----------------------------------------------------------------------------------------------------------------

COUNT = """
import hawse

class Node(hawse.Node):
    def setup(self, count: int = 10, endless: bool = False) -> None:
        self.count, self.endless = count, endless

    def produce(self) -> hawse.Text:
        i = 0
        while self.endless or i < self.count:
            i += 1
            yield hawse.Text(str(i), timestamp_ns=i)

    def finish(self) -> hawse.Text:
        return hawse.Text("end")
"""


def test_a_source_runs_to_its_end(tmp_path):
    with Supervised(tmp_path, COUNT, inputs=[]) as node:
        node.start()
        assert [frame.text for _, frame in node.receive_all()] == [str(i) for i in range(1, 11)] + ["end"]
        assert node.wait()[0] == 0


def test_a_source_that_is_stopped_finishes_in_order(tmp_path):
    with Supervised(tmp_path, COUNT, inputs=[], params={"endless": True}) as node:
        node.start()
        for _ in range(5):
            node.receive()
        node.send({"type": "stop"})
        rest = [(frame.sequence, frame.text) for _, frame in node.receive_all()]
        assert rest[-1][1] == "end"
        assert [sequence for sequence, _ in rest] == list(range(6, 6 + len(rest)))
        assert node.wait()[0] == 0


def test_a_source_that_nobody_reads_any_more_comes_to_its_end(tmp_path):
    with Supervised(tmp_path, COUNT, inputs=[], params={"endless": True}) as node:
        node.start()
        node.receive()
        node.readers[0].close()
        node.expect("finished")
        assert node.wait()[0] == 0


# ---- memory and pressure ----------------------------------------------------------------------------------------------------

def test_a_blocking_edge_holds_its_writer_back_and_loses_nothing(tmp_path):
    with Supervised(tmp_path, COUNT, inputs=[], params={"count": 3000}, queue=3) as node:
        node.start()
        got = [int(frame.text) for _, frame in node.receive_all() if frame.text != "end"]
        assert got == list(range(1, 3001))
        grown = [message for message in node.messages if message["type"] == "grow"]
        assert [(m["slot_bytes"], m["slots"]) for m in grown] == [(128, 7)]


@pytest.mark.parametrize("when_full", ["drop_oldest", "drop_newest", "latest"])
def test_a_dropping_edge_never_holds_its_writer_back(tmp_path, when_full):
    with Supervised(tmp_path, COUNT, inputs=[], params={"count": 500}, queue=4, when_full=when_full) as node:
        node.start()
        node.expect("grow")
        node.expect("finished")
        got = [frame.text for _, frame in node.receive_all()]
        counts = _plane.link_counts(node.reader_fds[0])
        assert counts["dropped"] + len(got) == 501
        assert (got[0] == "1") == (when_full == "drop_newest")
        assert (got[-1] == "end") == (when_full != "drop_newest")


def test_a_reader_that_keeps_frames_makes_the_writer_grow_up_to_the_limit(tmp_path):
    with Supervised(tmp_path, COUNT, inputs=[], params={"count": 40}, queue=4, limit_bytes=70_000) as node:
        node.start()
        held = [node.receive() for _ in range(16)]  # 8 slots, then 8 more; a third growth is refused
        assert sum(m["type"] == "grow" for m in node.messages) >= 2
        held = [(port, frame.text) for port, frame in held]
        held += [(port, frame.text) for port, frame in node.receive_all()]
        assert [text for _, text in held] == [str(i) for i in range(1, 41)] + ["end"]
        assert node.wait()[0] == 0


GROWS = """
import hawse

class Node(hawse.Node):
    def produce(self):
        for size in (10, 5000, 100, 300_000, 20_000_000, 1):
            out = self.output.bytes(size)
            out.data[-1] = 7
            yield out
"""


def test_frames_of_every_size_find_room(tmp_path):
    with Supervised(tmp_path, GROWS, inputs=[]) as node:
        node.start()
        sizes = [(frame.nbytes, frame.data[-1]) for _, frame in node.receive_all()]
        assert sizes == [(size, 7) for size in (10, 5000, 100, 300_000, 20_000_000, 1)]
        assert _plane.link_counts(node.reader_fds[0])["copies"] == 0
        grown = [m["slots"] for m in node.messages if m["type"] == "grow"]
        assert grown == [12, 12, 12, 2]  # one far larger than all before it makes no stream of them


def test_a_refused_frame_is_a_memory_error_with_the_reason(tmp_path):
    with Supervised(tmp_path, GROWS, inputs=[], limit_bytes=10_000_000) as node:
        node.start()
        failed = node.expect("failed")
        assert failed["phase"] == "produce"
        assert "MemoryError: output 'out' has no memory for a frame of 20000000 bytes: the limit of 10000000 bytes" in failed["summary"]
        assert node.wait()[0] == 1


HOARDS = """
import hawse

class Node(hawse.Node):
    def produce(self):
        kept = []
        while True:
            kept.append(self.output.bytes(10))
        yield
"""


def test_a_node_that_builds_and_never_sends_is_told_so(tmp_path):
    with Supervised(tmp_path, HOARDS, inputs=[], limit_bytes=200_000) as node:
        node.start()
        assert "frames are being built and none was sent" in node.expect("failed")["summary"]
        assert node.wait()[0] == 1


def test_stays_until_its_reader_has_given_everything_back(tmp_path):
    with Supervised(tmp_path, COUNT, inputs=[], params={"count": 2}) as node:
        node.start()
        held = node.receive()
        node.receive(), node.receive()
        node.expect("finished")
        assert node.receive() is None
        with pytest.raises(Exception):
            node.process.wait(0.3)
        del held
        assert node.wait()[0] == 0


FORWARD = """
import hawse

class Node(hawse.Node):
    outputs = {"same": hawse.Tensor, "doubled": hawse.Tensor}

    def process(self, tensor: hawse.Tensor):
        yield "same", tensor
        yield "doubled", tensor.array * 2
        yield "nowhere_connected" if False else "doubled", self.outputs["doubled"].like(tensor)
"""


def test_a_forwarded_frame_and_an_array_cost_one_copy_each(tmp_path):
    with Supervised(tmp_path, FORWARD, inputs=["tensor"], outputs=["same", "doubled"], path=NUMPY) as node:
        node.start()
        node.feed(hawse.Tensor(numpy.arange(3), timestamp_ns=5, trace_id=6))
        node.end()
        got = {}
        for port, frame in node.receive_all():
            got.setdefault(port, []).append((frame.timestamp_ns, frame.trace_id, frame.array.tolist()))
        assert got["same"] == [(5, 6, [0, 1, 2])]
        assert got["doubled"][0] == (5, 6, [0, 2, 4])
        assert [_plane.link_counts(fd)["copies"] for fd in node.reader_fds] == [1, 1]


UNCONNECTED = """
import hawse

class Node(hawse.Node):
    outputs = {"used": hawse.Text, "unused": hawse.Tensor}

    def process(self, text: hawse.Text):
        out = self.outputs["unused"].tensor((3,), "uint8")
        out.array[0] = 1
        yield "unused", out
        yield "used", text.text
"""


def test_an_output_that_no_edge_uses_takes_frames_and_drops_them(tmp_path):
    with Supervised(tmp_path, UNCONNECTED, inputs=["text"], outputs=["used"]) as node:
        node.start()
        node.feed(hawse.Text("a"))
        node.end()
        assert [(port, frame.text) for port, frame in node.receive_all()] == [("used", "a")]


# ---- several inputs -----------------------------------------------------------------------------------------------------------

MIXED = """
import hawse

class Node(hawse.Node):
    def process(self, left: hawse.Text, right: hawse.Text) -> hawse.Text:
        return f"{left and left.text} {right and right.text}"
"""


def test_several_inputs_and_several_edges_into_one(tmp_path):
    with Supervised(tmp_path, MIXED, inputs=["left", "right"], links=[0, 1, 1]) as node:
        node.start()
        for link in (0, 1, 2):
            node.feed(hawse.Text(str(link)), link)
            assert node.receive()[1].text == (["0 None", "None 1", "None 2"][link])
        node.feeds[0].end(1)
        node.look()
        node.feed(hawse.Text("still"), 2)
        assert node.receive()[1].text == "None still"
        node.end()
        assert node.receive() is None
        assert node.wait()[0] == 0


def test_an_edge_that_closes_a_cycle_is_not_waited_for(tmp_path):
    with Supervised(tmp_path, MIXED, inputs=["left", "right"], feedback=[1]) as node:
        node.start()
        node.feed(hawse.Text("1"), 0)
        assert node.receive()[1].text == "1 None"
        node.feed(hawse.Text("back"), 1)
        assert node.receive()[1].text == "None back"
        node.feeds[0].end(1)
        node.look()
        assert node.receive() is None
        assert node.wait()[0] == 0
        assert not node.feeds[1].has_reader()


# ---- what a node says ------------------------------------------------------------------------------------------------------------

SPEAKS = """
import sys
import hawse

class Node(hawse.Node):
    def setup(self):
        self.progress("model", 5, 10, unit="B")
        self.log.debug("debug %s", 1)
        self.log.info("100 % as it stands")
        self.log.warning("lone \\udc80 surrogate")
        self.log.error("x" * 100_000)

    def process(self, text: hawse.Text) -> None:
        print("one", "line", end="")
        print(" ", text.text)
        print("to stderr", file=sys.stderr)

    def close(self):
        print("closed", end="")
"""


def test_log_progress_and_prints_arrive(tmp_path):
    with Supervised(tmp_path, SPEAKS, inputs=["text"], outputs=[]) as node:
        node.start()
        node.feed(hawse.Text("a"))
        node.end()
        code, out, err = node.wait()
        assert (code, out, err) == (0, "one line  a\nclosed", "to stderr\n")
        assert [level for level, _ in node.log] == ["debug", "info", "warning", "error"]
        assert [text for _, text in node.log[:3]] == ["debug 1", "100 % as it stands", "lone \\udc80 surrogate"]
        assert node.log[3][1].startswith("xxx") and len(node.log[3][1]) < 10_000
        progress = node.expect("progress")
        assert (progress["what"], progress["done"], progress["total"], progress["unit"]) == ("model", 5, 10, "B")


# ---- failure ------------------------------------------------------------------------------------------------------------------------

FAILS = """
import hawse

def helper(text):
    raise ValueError(f"cannot {text.text}")

class Node(hawse.Node):
    def process(self, text: hawse.Text) -> hawse.Text:
        if text.sequence == 2:
            try:
                helper(text)
            except ValueError as error:
                raise RuntimeError("second") from error
        return text.text

    def close(self):
        print("closed")
"""


def test_an_exception_shows_the_users_own_lines_and_the_frame_in_hand(tmp_path):
    with Supervised(tmp_path, FAILS, inputs=["text"]) as node:
        node.start()
        node.feed(hawse.Text("one"))
        node.feed(hawse.Text("two"))
        failed = node.expect("failed")
        assert (failed["phase"], failed["sequence"], failed["summary"]) == ("process", 2, "RuntimeError: second")
        trace = failed["traceback"]
        assert "ValueError: cannot two" in trace and "in helper" in trace and "in process" in trace
        assert 'nodes.py", line 5, in helper' in trace
        assert "_host.py" not in trace and "_calls.py" not in trace
        code, out, _ = node.wait()
        assert (code, out) == (1, "closed\n")


@pytest.mark.parametrize("source, phase, says", [
    ("import hawse\nimport does_not_exist\n", "import", "ModuleNotFoundError: No module named 'does_not_exist'"),
    ("import hawse\nclass Node(hawse.Node)\n    pass\n", "import", "SyntaxError"),
    ("import hawse\n", "import", "has no class Node"),
    ("class Node: pass\n", "import", "not a class derived from hawse.Node"),
    ("import hawse\nclass Node(hawse.Node):\n    def setup(self): 1 / 0\n    def process(self, text): pass\n", "setup", "ZeroDivisionError"),
    ("import hawse, sys\nclass Node(hawse.Node):\n    def setup(self): sys.exit('no licence')\n    def process(self, text): pass\n", "setup", "SystemExit: no licence"),
    ("import hawse\nclass Node(hawse.Node):\n    def process(self, text): pass\n    def finish(self): raise KeyError('k')\n", "finish", "KeyError: 'k'"),
    ("import hawse\nclass Node(hawse.Node):\n    def process(self, text): pass\n    def close(self): raise KeyError('k')\n", "close", "KeyError: 'k'"),
    ("import hawse\nclass Node(hawse.Node):\n    def process(self, text): yield self.output.audio(samples=1, rate=0)\n    def finish(self): return list(self.process(1))\n",
     "finish", "rate"),
    ("import hawse\nclass Node(hawse.Node):\n    async def process(self, text): pass\n    async def finish(self): raise KeyError('k')\n", "finish", "KeyError: 'k'"),
])
def test_a_failure_names_its_phase(tmp_path, source, phase, says):
    with Supervised(tmp_path, source, inputs=["text"]) as node:
        node.spawn()
        node.connect()
        if phase in ("finish", "close"):
            node.expect("ready")
            node.send({"type": "start"})
            node.end()
        failed = node.expect("failed")
        assert failed["phase"] == phase
        assert says in failed["summary"]
        assert failed["sequence"] == 0
        assert f"{os.sep}hawse{os.sep}_" not in failed["traceback"]
        assert node.wait()[0] == 1


def test_a_crash_leaves_the_lines_that_led_to_it(tmp_path):
    source = "import hawse, os\nclass Node(hawse.Node):\n    def process(self, text):\n        os.abort()\n"
    with Supervised(tmp_path, source, inputs=["text"]) as node:
        node.start()
        node.feed(hawse.Text("a"))
        code, _, err = node.wait()
        assert code == -signal.SIGABRT
        assert "Fatal Python error: Aborted" in err and 'nodes.py", line 4 in process' in err


def test_a_frame_of_the_wrong_type_is_refused_with_the_ports_name(tmp_path):
    with Supervised(tmp_path, ECHO, inputs=["text"], types={"out": "audio|video"}) as node:
        node.start()
        node.feed(hawse.Text("a"))
        assert node.expect("failed")["summary"] == "TypeError: output 'out' carries audio or video, not text"


@pytest.mark.parametrize("busy", ["while True: pass", "import time; time.sleep(100)", "'a'.join([]); sum(range(10**12))"],
                         ids=["in Python", "asleep", "holding the interpreter lock"])
def test_when_the_runtime_is_gone_the_node_ends_whatever_it_does(tmp_path, busy):
    source = f"import hawse\nclass Node(hawse.Node):\n    def process(self, text):\n        self.log.info('busy')\n        {busy}\n"
    with Supervised(tmp_path, source, inputs=["text"]) as node:
        node.start()
        node.feed(hawse.Text("a"))
        node.expect("log")
        node.hang_up()
        assert node.process.wait(30) == 1


def test_a_node_that_waits_ends_when_the_runtime_is_gone(tmp_path):
    with Supervised(tmp_path, ECHO, inputs=["text"]) as node:
        node.start()
        node.hang_up()
        assert node.process.wait(30) == 1


# ---- where the class comes from -----------------------------------------------------------------------------------------------------

def test_packages_and_their_pth_files_come_in_front_and_siblings_are_found(tmp_path):
    packages, more, code = tmp_path / "packages", tmp_path / "more", tmp_path / "code"
    for folder in (packages, more, code):
        folder.mkdir()
    (packages / "here.py").write_text("name = 'packages'\n")
    (packages / "json.py").write_text("name = 'not the standard one'\n")
    (packages / "more.pth").write_text(f"{more}\n")
    (more / "there.py").write_text("name = 'by pth'\n")
    (code / "beside.py").write_text("name = 'beside'\n")
    source = "import hawse, here, there, beside\nclass Node(hawse.Node):\n    def process(self, text):\n        return f'{here.name}, {there.name}, {beside.name}, {__name__}'\n"
    with Supervised(code, source, inputs=["text"], path=[str(packages)]) as node:
        node.start()
        node.feed(hawse.Text("a"))
        assert node.receive()[1].text == "packages, by pth, beside, nodes"


def test_a_class_may_come_from_a_module_of_the_packages(tmp_path):
    package = tmp_path / "packages" / "speech"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "nodes.py").write_text(ECHO)
    with Supervised(tmp_path, module="speech.nodes", inputs=["text"], path=[str(tmp_path / "packages")]) as node:
        node.start()
        node.feed(hawse.Text("a"))
        assert node.receive()[1].text == "A"


def test_started_by_hand_it_says_what_it_is(tmp_path):
    import subprocess
    from supervised import MAIN
    answer = subprocess.run([sys.executable, "-I", MAIN], capture_output=True, text=True, env={}, stdin=subprocess.DEVNULL)
    assert answer.returncode == 2
    assert "hawse run" in answer.stderr


# ---- replacement --------------------------------------------------------------------------------------------------------------------

def test_a_new_reader_is_given_what_the_dead_one_held_while_the_node_waits(tmp_path):
    with Supervised(tmp_path, ECHO, inputs=["text"], queue=4) as node:
        node.start()
        for i in range(6):
            node.feed(hawse.Text(f"t{i}"))
        held = [node.receive()[1] for _ in range(2)]  # these two, and four in the queue, are unreturned when the reader dies
        node.until(lambda: _plane.link_counts(node.reader_fds[0])["sent"] == 6)
        link = node.fd(_plane.create_link(2, 0, 64))  # a smaller queue: what is given again may be more
        reader = _plane.InputLink()
        reader.connect(link, node.node_bell)
        for arena, fd in enumerate(fd for fd, _ in node.arena_fds):
            reader.add_arena(fd, arena, *node.arena_fds[arena][1])
        node.send({"type": "output_link", "port": 0, "index": 0, "queue": 2, "when_full": "block"}, link, node.bell)
        loop = _plane.Loop(node.bell, -1, 0)
        loop.add_input(reader)
        got = [loop.next(20_000_000_000)[0] for _ in range(6)]
        assert [(frame.text, frame.given_again) for frame in got] == [(f"T{i}", True) for i in range(6)]
        node.feed(hawse.Text("new"))
        fresh, _ = loop.next(20_000_000_000)
        assert (fresh.text, fresh.given_again) == ("NEW", False)
        del held


def test_a_new_writer_goes_on_where_the_dead_one_ended(tmp_path):
    with Supervised(tmp_path, ECHO, inputs=["text"]) as node:
        node.start()
        node.feed(hawse.Text("old"))
        assert node.receive()[1].text == "OLD"
        link = node.fd(_plane.create_link(8, 0, 64))
        node.feeds[0] = feed = _plane.OutputPort()
        feed.set_link(0, link, node.node_bell, 8, 0)
        node.loop.add_output(feed)
        node.feed_arenas[0] = 0
        node.send({"type": "input_link", "link": 0}, link, node.bell)
        node.feed(hawse.Text("new"))
        assert node.receive()[1].text == "NEW"
        node.end()
        assert node.receive() is None
        assert node.wait()[0] == 0


# ---- memory that goes back ------------------------------------------------------------------------------------------------------------

LARGE_ONCE = """
import time
import numpy
import hawse
class Node(hawse.Node):
    kept = None
    def process(self, text: hawse.Text) -> hawse.Bytes:
        out = self.output.bytes(int(text.text))
        view = numpy.frombuffer(out.data, numpy.uint8)
        view[:] = len(text.text)
        if out.nbytes > 1 << 24 and self.kept is None:
            self.kept = view
        elif out.nbytes == 1:
            print("kept", int(self.kept[0]), flush=True)
            self.kept = None
        return out
"""


def test_memory_of_one_large_frame_goes_back_also_when_nothing_follows(tmp_path):
    with Supervised(tmp_path, LARGE_ONCE, inputs=["text"], path=NUMPY) as node:
        node.start()

        def passes(size):
            node.feed(hawse.Text(str(size)))
            frame = node.receive()[1]
            assert bytes(frame.data) == bytes([len(str(size))]) * size
            del frame

        def mapped():
            return sum("hawse-arena" in line for line in open(f"/proc/{node.process.pid}/maps"))

        for size in (1000, 1000, 20 << 20, 1000):
            passes(size)
        grown = [message for message in node.messages if message["type"] == "grow"]
        assert grown[1]["slots"] == 2 and len(grown) == 2
        until = time.monotonic() + 5
        node.until(lambda: time.monotonic() > until)  # it still looks at what it has sent: that isn't unmapped under its eyes
        assert not [message for message in node.messages if message["type"] == "give_back"]
        before = mapped()
        passes(1)
        assert node.expect("give_back") == {"type": "give_back", "port": 0, "arena": 1}
        assert mapped() == before - 1
        passes(1000)
        passes(20 << 20)
        node.end()
        assert node.receive() is None
        code, out, err = node.wait()
        assert (code, out, err) == (0, "kept 8\n", "")
