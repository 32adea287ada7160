# SPDX-License-Identifier: Apache-2.0
"""A pipeline inside this program, with the real `hawse` command."""
import asyncio
import os
import threading
import time

import pytest

import hawse
from hawse import _session

try:
    COMMAND = _session.find_command()
except FileNotFoundError as error:
    pytest.skip(f"no command to run: {error}", allow_module_level=True)

NODES = """
import time
import hawse

class Upper(hawse.Node):
    def process(self, text: hawse.Text) -> hawse.Text:
        return text.text.upper()

class Split(hawse.Node):
    outputs = {"even": hawse.Text, "odd": hawse.Text}
    def process(self, text: hawse.Text):
        yield ("odd" if int(text.text) % 2 else "even"), text.text

class Fails(hawse.Node):
    def process(self, text: hawse.Text) -> hawse.Text:
        raise ValueError("no")

class Cannot(hawse.Node):
    def setup(self) -> None:
        raise OSError("no model")
    def process(self, text: hawse.Text) -> hawse.Text:
        return text

class Source(hawse.Node):
    def setup(self, count: int = 3, endless: bool = False) -> None:
        self.count, self.endless = count, endless
    def produce(self) -> hawse.Text:
        n = 0
        while self.endless or n < self.count:
            n += 1
            yield str(n)

class Sink(hawse.Node):
    def process(self, text: hawse.Text) -> None:
        print("got", text.text)
"""


@pytest.fixture
def pipeline(tmp_path):
    (tmp_path / "nodes.py").write_text(NODES)

    def make(text, **options):
        (tmp_path / "pipeline.yaml").write_text("version: 1\nname: test\n" + text)
        return hawse.Pipeline(tmp_path / "pipeline.yaml", **options)

    yield make


UPPER = "inputs: {words: upper.text}\noutputs: {text: upper}\nnodes: {upper: {node: 'nodes.py:Upper', executor: process}}\nedges: []\n"
SPLIT = ("inputs: {numbers: split.text}\noutputs: {even: split.even, odd: split.odd}\nnodes: {split: {node: 'nodes.py:Split', executor: process}}\n"
         "edges: []\n")


def test_frames_go_in_and_come_out(pipeline):
    with pipeline(UPPER).start() as session:
        session.send("words", hawse.Text("one", timestamp_ns=5, trace_id=6))
        frame = session.receive("text", timeout=60)
        assert (frame.text, frame.timestamp_ns, frame.trace_id) == ("ONE", 5, 6)
        session.send("words", "two")
        assert session.receive(timeout=60).text == "TWO"
        session.end("words")
        assert session.receive() is None
        assert session.wait() == 0
    assert session.exit_code == 0
    assert session.events[-1]["event"] == "summary"


def test_all_may_be_sent_before_any_is_received(pipeline):
    with pipeline(UPPER).start() as session:
        for i in range(200):
            session.send("words", f"w{i}")
        session.end()
        assert [frame.text for frame in session] == [f"W{i}" for i in range(200)]
        assert session.wait(check=True) == 0


def test_frames_of_the_program_have_nothing_to_do_with_each_other(pipeline):
    with pipeline(UPPER).start() as session:
        session.send("words", hawse.Text("a", timestamp_ns=5, trace_id=6))
        session.receive(timeout=60)
        before = time.time_ns()
        session.send("words", "b")
        frame = session.receive(timeout=60)
        assert frame.timestamp_ns >= before
        assert frame.trace_id not in (0, 6)


def test_several_outputs_come_with_their_names(pipeline):
    with pipeline(SPLIT).start() as session:
        for i in range(6):
            session.send("numbers", str(i))
        session.end("numbers")
        got = [(name, frame.text) for name, frame in session]
        assert [text for name, text in got if name == "even"] == ["0", "2", "4"]
        assert [text for name, text in got if name == "odd"] == ["1", "3", "5"]


def test_a_timeout_says_so_and_loses_nothing(pipeline):
    with pipeline(UPPER).start() as session:
        for timeout in (0, 0.05):
            with pytest.raises(TimeoutError):
                session.receive("text", timeout=timeout)
        session.send("words", "late")
        assert session.receive("text", timeout=60).text == "LATE"


def test_one_thread_may_wait_for_frames_while_another_sends(pipeline):
    got = []
    with pipeline(UPPER).start() as session:
        reader = threading.Thread(target=lambda: got.extend(frame.text for frame in session))
        reader.start()
        for i in range(300):
            session.send("words", f"w{i}")
        session.end("words")
        reader.join(60)
        assert got == [f"W{i}" for i in range(300)]


def test_asyncio_sends_and_receives_at_once(pipeline):
    async def talk():
        async with pipeline(UPPER).start() as session:
            async def send():
                for i in range(50):
                    await session.asend("words", f"w{i}")
                session.end("words")
            sender = asyncio.ensure_future(send())
            got = [frame.text async for frame in session]
            await sender
            return got

    assert asyncio.run(talk()) == [f"W{i}" for i in range(50)]


def test_a_cancelled_receive_takes_no_frame(pipeline):
    async def talk():
        async with pipeline(UPPER).start() as session:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.areceive("text"), 0.1)
            await session.asend("words", "kept")
            return (await session.areceive("text", timeout=60)).text

    assert asyncio.run(talk()) == "KEPT"


def test_names_that_are_not_there_are_told_with_those_that_are(pipeline):
    with pipeline(SPLIT).start() as session:
        with pytest.raises(KeyError, match="no input 'mic'.*numbers"):
            session.send("mic", "a")
        with pytest.raises(KeyError, match="no input 'mic'.*numbers"):
            session.input("mic")
        with pytest.raises(KeyError, match="no output 'text'.*even, odd"):
            session.receive("text")


def test_a_bad_manifest_raises_with_its_findings(pipeline):
    with pytest.raises(hawse.PipelineError, match="pipeline.yaml:3:1") as raised:
        pipeline("noeds: {}\n").start()
    assert raised.value.exit_code == 3


def test_a_node_that_cannot_start_raises_with_its_reason(pipeline):
    with pytest.raises(hawse.PipelineError, match="no model") as raised:
        pipeline(UPPER.replace("Upper", "Cannot")).start()
    assert raised.value.exit_code == 5


def test_a_node_that_fails_ends_its_streams_and_the_run_says_why(pipeline):
    with pipeline(UPPER.replace("Upper", "Fails")).start() as session:
        session.send("words", "a")
        try:
            assert session.receive("text", timeout=60) is None
        except hawse.PipelineError as error:
            assert error.exit_code == 5
        assert session.wait() == 5
        with pytest.raises(hawse.PipelineError):
            session.send("words", "b")
    with pytest.raises(hawse.PipelineError, match="upper"):
        with pipeline(UPPER.replace("Upper", "Fails")).start() as session:
            session.send("words", "a")
            assert session.receive("text", timeout=60) is None


def test_leaving_a_session_stops_it(pipeline):
    with pipeline("outputs: {text: source}\nnodes: {source: {node: 'nodes.py:Source', executor: process, params: {endless: true}}}\nedges: []\n").start() as session:
        assert session.receive("text", timeout=60).text == "1"
        pid = session._child.process.pid
    assert session.exit_code in (0, 130)
    assert not os.path.exists(f"/proc/{pid}")


def test_an_exception_inside_kills_the_run_and_stays_what_it_is(pipeline):
    with pytest.raises(ZeroDivisionError):
        with pipeline(UPPER).start() as session:
            session.send("words", "a")
            1 / 0
    assert session.exit_code is not None
    with pytest.raises(hawse.PipelineError, match="ended"):
        session.send("words", "b")


def test_a_frame_outlives_its_session(pipeline):
    with pipeline(UPPER).start() as session:
        session.send("words", "a")
        frame = session.receive("text", timeout=60)
        view = frame.data
        session.end("words")
    assert (frame.text, bytes(view)) == ("A", b"A")


def test_a_pipeline_without_inputs_and_outputs_just_runs(pipeline):
    events = []
    made = pipeline("nodes:\n  source: {node: 'nodes.py:Source', executor: process, params: {count: 2}}\n  sink: {node: 'nodes.py:Sink', executor: process}\n"
                    "edges: ['source -> sink']\n")
    with made.start(on_event=events.append) as session:
        assert session.wait() == 0
        with pytest.raises(KeyError):
            session.receive()
    assert [event["text"] for event in events if event["event"] == "log"] == ["got 1", "got 2"]
    made.run()


def test_variables_reach_the_manifest(pipeline):
    made = pipeline("variables: {count: 1}\noutputs: {text: source}\nnodes: {source: {node: 'nodes.py:Source', executor: process, params: {count: '${count}'}}}\nedges: []\n",
                    set={"count": 4})
    with made.start() as session:
        assert [frame.text for frame in session] == ["1", "2", "3", "4"]
