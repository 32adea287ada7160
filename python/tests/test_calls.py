# SPDX-License-Identifier: Apache-2.0
"""Every form in which a node may give its frames, through the testing harness: the path that the runtime's host takes, too."""
import asyncio
import functools

import pytest

import hawse
from hawse.testing import Harness, run


def texts(given):
    return [frame.text for frame in given]


def one(self, text):
    return hawse.Text(text.text + "!")


def none(self, text):
    return None


def listed(self, text):
    return [hawse.Text(text.text + "1"), hawse.Text(text.text + "2")]


def tupled(self, text):
    return hawse.Text(text.text + "1"), hawse.Text(text.text + "2")


def generator(self, text):
    yield hawse.Text(text.text + "1")
    yield None
    yield [hawse.Text(text.text + "2"), hawse.Text(text.text + "3")]


async def coroutine(self, text):
    await asyncio.sleep(0)
    return hawse.Text(text.text + "!")


async def coroutine_of_list(self, text):
    await asyncio.sleep(0)
    return [hawse.Text(text.text + "1"), hawse.Text(text.text + "2")]


async def async_generator(self, text):
    await asyncio.sleep(0)
    yield hawse.Text(text.text + "1")
    await asyncio.sleep(0)
    yield hawse.Text(text.text + "2")


def plain(self, text):
    return text.text + "!"


FORMS = [(one, ["a!"]), (none, []), (listed, ["a1", "a2"]), (tupled, ["a1", "a2"]), (generator, ["a1", "a2", "a3"]), (coroutine, ["a!"]),
         (coroutine_of_list, ["a1", "a2"]), (async_generator, ["a1", "a2"]), (plain, ["a!"])]


@pytest.mark.parametrize("form, gives", FORMS, ids=lambda value: getattr(value, "__name__", ""))
def test_process_may_give_its_frames_in_every_form(form, gives):
    node = type("Form", (hawse.Node,), {"process": form})
    assert texts(run(node, [hawse.Text("a")])) == gives


@pytest.mark.parametrize("form, gives", FORMS, ids=lambda value: getattr(value, "__name__", ""))
def test_finish_may_give_its_frames_in_every_form(form, gives):
    node = type("Form", (hawse.Node,), {"process": none, "finish": functools.partialmethod(form, hawse.Text("a"))})
    assert texts(run(node, [hawse.Text("x")])) == gives


def test_produce_is_called_until_it_says_the_end():
    class Source(hawse.Node):
        def setup(self):
            self.count = 0

        def produce(self):
            self.count += 1
            if self.count > 3:
                raise hawse.EndOfStream
            return None if self.count == 2 else hawse.Text(str(self.count))

        def finish(self):
            return "end"

    assert texts(run(Source)) == ["1", "3", "end"]


def test_a_generator_of_a_source_ends_it_by_ending():
    class Source(hawse.Node):
        def produce(self):
            for i in range(3):
                yield str(i)

    assert texts(run(Source)) == ["0", "1", "2"]


def test_a_source_may_be_an_async_generator_or_a_coroutine():
    class Generator(hawse.Node):
        async def produce(self):
            for i in range(3):
                await asyncio.sleep(0)
                yield str(i)

    class Coroutine(hawse.Node):
        count = 0

        async def produce(self):
            await asyncio.sleep(0)
            self.count += 1
            if self.count == 3:
                raise hawse.EndOfStream
            return str(self.count)

    assert texts(run(Generator)) == ["0", "1", "2"]
    assert texts(run(Coroutine)) == ["1", "2"]


def test_end_of_stream_may_come_out_of_a_generator_too():
    class Source(hawse.Node):
        def produce(self):
            yield "a"
            raise hawse.EndOfStream

    assert texts(run(Source)) == ["a"]


def test_an_endless_source_stops_at_the_limit_and_its_generator_is_closed():
    closed = []

    class Source(hawse.Node):
        def produce(self):
            try:
                while True:
                    yield "x"
            finally:
                closed.append(True)

    assert texts(run(Source, limit=5)) == ["x"] * 5
    assert closed == [True]


def test_several_outputs_are_named():
    class Split(hawse.Node):
        outputs = {"even": hawse.Text, "odd": hawse.Text}

        def process(self, text):
            yield ("odd" if int(text.text) % 2 else "even"), text
            yield self.outputs["odd"].text("also")

    given = run(Split, [hawse.Text("1"), hawse.Text("2")])
    assert [(port, frame.text) for port, frame in given] == [("odd", "1"), ("even", "also"), ("even", "2"), ("even", "also")]


def test_a_returned_pair_of_name_and_frame_goes_to_that_output():
    class Named(hawse.Node):
        outputs = ("a", "b")

        def process(self, text):
            return "b", text

    assert [port for port, _ in run(Named, [hawse.Text("x")])] == ["b"]


def test_two_texts_are_no_name_and_frame():
    class Both(hawse.Node):
        def process(self, text):
            return "hello", "world"

    assert texts(run(Both, [hawse.Text("x")])) == ["hello", "world"]


def test_an_output_that_was_not_declared_is_refused_by_name():
    class Wrong(hawse.Node):
        outputs = {"left": hawse.Text, "right": hawse.Text}

        def process(self, text):
            yield "rigth", text

    with pytest.raises(ValueError, match="no output 'rigth'.*left, right"):
        run(Wrong, [hawse.Text("x")])


def test_several_inputs_come_one_at_a_time():
    class Mixed(hawse.Node):
        def process(self, audio=None, text=None):
            return f"{audio} {text}"

    class Required(hawse.Node):
        def process(self, left, right):
            return f"{left} {right}"

    class Keywords(hawse.Node):
        def process(self, **frames):
            return " ".join(f"{name}={frame}" for name, frame in frames.items())

    class KeywordOnly(hawse.Node):
        def process(self, *, left, right=None):
            return f"{left} {right}"

    a = hawse.Text("a")
    assert texts(run(Mixed, [("text", a), ("audio", a)])) == ["None a", "a None"]
    assert texts(run(Required, [("right", a), ("left", a), a])) == ["None a", "a None", "a None"]
    assert texts(run(Keywords, [("x", a), ("y", a)])) == ["x=a", "y=a"]
    assert texts(run(KeywordOnly, [("left", a)])) == ["a None"]
    with pytest.raises(TypeError, match="no parameter for the input 'middle'.*left, right"):
        run(Required, [("middle", a)])


def test_one_parameter_takes_the_frames_of_all_inputs():
    class Any(hawse.Node):
        inputs = ("left", "right")

        def process(self, frame):
            return frame.text

    assert texts(run(Any, [("left", hawse.Text("1")), ("right", hawse.Text("2"))])) == ["1", "2"]


def test_a_decorated_process_keeps_its_parameters():
    def logged(function):
        @functools.wraps(function)
        def wrapper(*arguments, **keywords):
            return function(*arguments, **keywords)
        return wrapper

    class Decorated(hawse.Node):
        @logged
        def process(self, left, right):
            return f"{left} {right}"

    class Static(hawse.Node):
        @staticmethod
        def process(text):
            return text.text

    assert texts(run(Decorated, [("right", hawse.Text("a"))])) == ["None a"]
    assert texts(run(Static, [hawse.Text("a")])) == ["a"]


@pytest.mark.parametrize("value, kind", [("a", hawse.Text), ({"a": 1}, hawse.Json), (5, hawse.Json), (2.5, hawse.Json), (True, hawse.Json),
                                         (b"a", hawse.Bytes), (bytearray(b"a"), hawse.Bytes)])
def test_plain_values_become_frames(value, kind):
    class Plain(hawse.Node):
        def process(self, text):
            return value

    frame, = run(Plain, [hawse.Text("x", timestamp_ns=3)])
    assert type(frame) is kind
    assert frame.timestamp_ns == 3


def test_what_is_no_frame_is_refused_by_its_type():
    class Wrong(hawse.Node):
        def process(self, text):
            return object()

    with pytest.raises(TypeError, match="not object"):
        run(Wrong, [hawse.Text("x")])


def test_a_class_without_process_and_produce_is_no_node():
    with pytest.raises(TypeError, match="neither process.. nor produce"):
        run(type("Empty", (hawse.Node,), {}))
    with pytest.raises(TypeError, match="not a class derived from hawse.Node"):
        run(dict)


def test_the_calls_come_in_their_order():
    calls = []

    class Order(hawse.Node):
        def __init__(self):
            calls.append(("init", self.id, self.output.name))

        def setup(self, gain=1):
            calls.append(("setup", gain))

        def process(self, text):
            calls.append(("process", text.text))

        def finish(self):
            calls.append(("finish",))

        def close(self):
            calls.append(("close",))

    run(Order, [hawse.Text("a"), hawse.Text("b")], params={"gain": 2})
    assert calls == [("init", "test", "out"), ("setup", 2), ("process", "a"), ("process", "b"), ("finish",), ("close",)]


def test_all_calls_of_an_async_node_share_one_event_loop():
    loops = []

    class Async(hawse.Node):
        async def setup(self):
            loops.append(asyncio.get_running_loop())
            self.queue = asyncio.Queue()

        async def process(self, text):
            loops.append(asyncio.get_running_loop())
            await self.queue.put(text.text)
            return await self.queue.get()

        async def finish(self):
            loops.append(asyncio.get_running_loop())
            return "end"

        async def close(self):
            loops.append(asyncio.get_running_loop())

    assert texts(run(Async, [hawse.Text("a")])) == ["a", "end"]
    assert len(loops) == 4 and len(set(map(id, loops))) == 1
    assert loops[0].is_closed()


def test_a_path_parameter_is_a_path():
    from pathlib import Path

    class Files(hawse.Node):
        def setup(self, model: Path, name: str) -> None:
            self.answer = f"{type(model).__name__} {name}"

        def process(self, text):
            return self.answer.replace("Posix", "")

    assert texts(run(Files, [hawse.Text("a")], params={"model": "/m", "name": "Path"})) == ["Path Path"]


def test_a_failure_leaves_as_it_is_and_close_is_called():
    closed = []

    class Fails(hawse.Node):
        def process(self, text):
            raise KeyError("mine")

        def close(self):
            closed.append(True)

    with pytest.raises(KeyError, match="mine"):
        run(Fails, [hawse.Text("a")])
    assert closed == [True]


def test_the_harness_shows_each_step():
    class Pairs(hawse.Node):
        def setup(self):
            self.kept = []

        def process(self, text):
            self.kept.append(text.text)
            self.log.info("have %d", len(self.kept))
            if len(self.kept) == 2:
                yield "".join(self.kept)
                self.kept = []

        def finish(self):
            return self.kept

    with Harness(Pairs) as pairs:
        assert pairs.send(hawse.Text("a")) == []
        assert texts(pairs.send(hawse.Text("b"))) == ["ab"]
        assert pairs.send(hawse.Text("c")) == []
        assert texts(pairs.finish()) == ["c"]
        assert pairs.log == [("info", "have 1"), ("info", "have 2"), ("info", "have 1")]


def test_frames_under_test_are_read_only_numbered_and_lend_their_times():
    numpy = pytest.importorskip("numpy")

    class Check(hawse.Node):
        def process(self, tensor):
            assert not tensor.array.flags.writeable
            out = self.output.like(tensor)
            out.array[:] = tensor.array * tensor.sequence
            yield out
            yield tensor
            yield self.output.tensor((2,))

    array = numpy.ones(3)
    given = run(Check, [hawse.Tensor(array, timestamp_ns=4, trace_id=9)] * 2)
    assert [frame.array.tolist() for frame in given if frame.shape == (3,)] == [[1, 1, 1], [1, 1, 1], [2, 2, 2], [1, 1, 1]]
    assert [(frame.sequence, frame.timestamp_ns, frame.trace_id) for frame in given] == [(i, 4, 9) for i in range(1, 7)]
    assert array.flags.writeable
