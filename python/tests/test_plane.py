# SPDX-License-Identifier: Apache-2.0
"""The native module over real memfds: leases, what may be written, copies, growth, waiting."""
import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

import hawse
from hawse import _plane
from hawse._outputs import Output
from plane_pair import Pair

numpy = pytest.importorskip("numpy")
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(hawse.__file__)))
SEGFAULTS = 'import faulthandler, sys; sys.path[:0] = {}\n'


def build(port, shape=(10,), dtype="float32"):
    return Output("out", lambda spec: port.build(*spec)).tensor(shape, dtype)


def test_a_frame_built_in_place_arrives_without_a_copy():
    with Pair() as pair:
        out = build(pair.port, (10, 10))
        out.array[:] = numpy.arange(100).reshape(10, 10)
        assert out._state == "building"
        assert pair.port.send(out) == 0
        assert (out._state, out.sequence) == ("sent", 1)
        frame = pair.next()
        assert isinstance(frame, hawse.Tensor)
        assert frame.array.tolist() == numpy.arange(100).reshape(10, 10).tolist()
        assert pair.counts()["copies"] == 0


@pytest.mark.parametrize("frame, copies", [
    (lambda: hawse.Tensor(numpy.arange(6).reshape(2, 3)), 1),
    (lambda: hawse.Tensor(numpy.arange(12).reshape(3, 4)[:, ::2]), 1),
    (lambda: hawse.Tensor(numpy.asfortranarray(numpy.arange(6).reshape(2, 3))), 1),
    (lambda: hawse.Audio(numpy.ones((5, 2), "float32"), rate=8000), 1),
    (lambda: hawse.Video(numpy.ones((2, 2, 3), "uint8"), rate=25), 1),
    (lambda: hawse.Image(numpy.ones((2, 2, 3), "uint8")[::-1]), 1),
    (lambda: hawse.Bytes(b"12345"), 1),
    (lambda: hawse.Text("Grüße"), 0),
    (lambda: hawse.Text(""), 0),
    (lambda: hawse.Json({"a": [1, None]}), 0),
    (lambda: hawse.Bytes(b""), 1),
    (lambda: hawse.Tensor(numpy.zeros((0, 3))), 1),
    (lambda: hawse.Tensor(5.0), 1),
])
def test_a_frame_in_the_users_own_memory_arrives_whole_and_its_copy_is_counted(frame, copies):
    with Pair() as pair:
        sent = frame()
        assert pair.port.send(sent) == 0
        got = pair.next()
        assert type(got) is type(sent)
        for name in ("shape", "nbytes", "type", "duration_ns", "_dtype", "_format", "_rate_numerator", "_rate_denominator"):
            assert getattr(got, name) == getattr(sent, name)
        for name in ("text", "value"):
            if hasattr(sent, name):
                assert getattr(got, name) == getattr(sent, name)
        for name in ("array", "samples", "pixels"):
            if hasattr(sent, name):
                assert numpy.array_equal(getattr(got, name), getattr(sent, name))
        if isinstance(sent, hawse.Bytes):
            assert bytes(got) == bytes(sent)
        assert pair.counts()["copies"] == copies


def test_the_slot_returns_when_the_last_view_dies():
    with Pair() as pair:
        pair.port.send(hawse.Tensor(numpy.arange(10)))
        frame = pair.next()
        view = frame.array
        part = view[2:5]
        assert pair.counts()["leased"] == 1
        del frame
        assert pair.counts()["leased"] == 1
        del view
        assert pair.counts()["leased"] == 1
        assert part.tolist() == [2, 3, 4]
        del part
        assert pair.counts()["leased"] == 0
        pair.port.pump()
        assert pair.port.slots_in_use == 0


def test_a_frame_that_nobody_looks_at_returns_with_its_object():
    with Pair() as pair:
        pair.port.send(hawse.Text("a"))
        frame = pair.next()
        assert (pair.counts()["leased"], pair.link.leased) == (1, 1)
        assert frame.text == "a"
        del frame
        assert pair.counts()["leased"] == 0


def test_no_frame_waits_for_the_garbage_collector():
    gc.disable()
    try:
        with Pair() as pair:
            pair.port.send(hawse.Audio(numpy.zeros(8, "float32"), rate=8000))
            frame = pair.next()
            assert frame.samples.shape == (8, 1) and frame.samples is frame.samples
            del frame
            assert pair.counts()["leased"] == 0
    finally:
        gc.enable()


def test_the_last_view_may_die_in_another_thread():
    with Pair() as pair:
        pair.port.send(hawse.Tensor(numpy.arange(10)))
        held = [pair.next().array]
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        assert pair.counts()["leased"] == 0


def test_a_view_outlives_link_port_and_loops():
    pair = Pair()
    pair.port.send(hawse.Tensor(numpy.arange(10)))
    view = pair.next().array
    pair.close()
    del pair
    gc.collect()
    assert view.tolist() == list(range(10))


def test_an_unsent_frame_gives_its_slot_back_with_its_last_view():
    with Pair(slots=2) as pair:
        out = build(pair.port)
        view = out.array
        del out
        assert (pair.port.building, pair.port.slots_in_use) == (1, 1)
        thread = threading.Thread(target=lambda held: held.clear(), args=([view],))
        del view
        thread.start()
        thread.join()
        pair.port.pump()
        assert (pair.port.building, pair.port.slots_in_use) == (0, 0)


def test_a_received_frame_is_read_only():
    with Pair() as pair:
        pair.port.send(hawse.Tensor(numpy.arange(4), timestamp_ns=5))
        frame = pair.next()
        assert not frame.array.flags.writeable
        with pytest.raises(ValueError):
            frame.array[0] = 1
        with pytest.raises(ValueError):
            frame.array.setflags(write=True)
        with pytest.raises(TypeError):
            memoryview(frame._memory())[0] = 1
        for name in ("timestamp_ns", "duration_ns", "trace_id", "sequence", "given_again", "shape"):
            with pytest.raises(AttributeError):
                setattr(frame, name, 1)


WRITES = """
import ctypes, numpy, hawse
from plane_pair import Pair
pair = Pair()
pair.port.send(hawse.Tensor(numpy.arange(4)))
frame = pair.next()
print(frame.array.sum(), flush=True)
ctypes.memset(frame.array.ctypes.data, 1, 8)
print("written", flush=True)
"""


def test_writing_round_the_view_ends_the_process_that_does_it():
    code = f"import sys; sys.path[:0] = {[PACKAGE, os.path.dirname(os.path.abspath(__file__))]!r}\n{WRITES}"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == -signal.SIGSEGV
    assert answer.stdout == "6\n"


def test_a_frame_is_sent_once():
    with Pair() as pair:
        out = build(pair.port)
        assert pair.port.send(out) == 0
        with pytest.raises(ValueError, match="already sent"):
            pair.port.send(out)


def test_forwarding_costs_one_copy():
    with Pair() as first, Pair() as second:
        first.port.send(hawse.Tensor(numpy.arange(4), timestamp_ns=7, trace_id=9))
        frame = first.next()
        assert second.port.send(frame) == 0
        again = second.next()
        assert (again.array.tolist(), again.timestamp_ns, again.trace_id) == ([0, 1, 2, 3], 7, 9)
        assert second.counts()["copies"] == 1


def test_a_frame_built_for_one_port_may_go_through_another_at_the_price_of_a_copy():
    with Pair() as first, Pair() as second:
        out = build(first.port, (4,))
        out.array[:] = 3
        assert second.port.send(out) == 0
        assert second.next().array.tolist() == [3, 3, 3, 3]
        assert second.counts()["copies"] == 1
        assert first.port.building == 1
        del out
        first.port.pump()
        assert first.port.slots_in_use == 0


def test_says_full_no_slot_and_too_large():
    with Pair(slots=3, queue=2) as pair:
        assert pair.port.send(hawse.Text("x" * 5000)) == _plane.TOO_LARGE
        assert pair.port.send(hawse.Text("1")) == 0
        assert pair.port.send(hawse.Text("2")) == 0
        assert pair.port.unread == 2
        assert pair.port.send(hawse.Text("3")) == _plane.FULL
        held = [pair.next(), pair.next()]
        assert pair.port.send(hawse.Text("3")) == 0
        assert pair.port.send(hawse.Text("4")) == _plane.NO_SLOT
        pair.grow(4096, 2)
        assert pair.port.send(hawse.Text("4")) == 0
        assert [frame.text for frame in held + [pair.next(), pair.next()]] == ["1", "2", "3", "4"]


def test_an_arena_that_is_not_there_yet_leaves_its_frames_unread():
    with Pair(arena=False) as pair:
        arena = pair.fd(_plane.create_arena(4096, 2))
        pair.port.add_arena(arena, 0, 4096, 2)
        _plane.seal_arena(arena)
        pair.port.enable_arena(0)
        pair.port.send(hawse.Text("early"))
        assert pair.link.receive() == _plane.UNKNOWN_ARENA
        assert pair.reader.next(0) == 2
        pair.link.add_arena(arena, 0, 4096, 2)
        assert pair.next().text == "early"


def test_a_reader_refuses_an_arena_that_its_writer_could_still_open_for_others_to_write():
    with Pair(arena=False) as pair:
        arena = pair.fd(_plane.create_arena(4096, 2))
        with pytest.raises(RuntimeError, match="not_sealed|not sealed|seal"):
            pair.link.add_arena(arena, 0, 4096, 2)


def test_the_loop_is_fair_between_links_and_sees_their_ends():
    with Pair() as first, Pair() as second:
        loop = _plane.Loop(first.reader_bell, -1, 0)
        loop.add_input(first.link)
        loop.add_input(second.link)
        for i in range(3):
            first.port.send(hawse.Text(f"a{i}"))
            second.port.send(hawse.Text(f"b{i}"))
        got = [loop.next(0) for _ in range(6)]
        assert [(frame.text, link) for frame, link in got] == [("a0", 0), ("b0", 1), ("a1", 0), ("b1", 1), ("a2", 0), ("b2", 1)]
        assert loop.next(0) == 2
        first.port.end(1)
        second.port.send(hawse.Text("last"))
        second.port.end(1)
        assert loop.next(0)[0].text == "last"
        assert loop.next(0) == 1
        assert first.link.ended and second.link.ended


@pytest.mark.parametrize("wait", [lambda loop, port: loop.wait_room(port, -1), lambda loop, port: loop.wait_slot(port, -1, False)])
def test_a_flush_that_came_just_before_a_wait_for_an_output_ends_it(wait):
    with Pair() as before, Pair(queue=1) as after:
        loop = _plane.Loop(before.reader_bell, -1, 0)
        loop.add_input(before.link)
        loop.add_output(after.port)
        assert after.port.send(hawse.Text("1")) == 0
        assert after.port.send(hawse.Text("2")) == _plane.FULL
        before.port.flush(7)
        assert loop.interrupted()
        wait(loop, after.port)
        assert after.port.send(hawse.Text("2")) == 0, "what is in hand is void"
        assert after.counts()["sent"] == 1


def test_a_waiting_loop_lets_other_threads_run_and_wakes_for_a_frame():
    with Pair() as pair:
        threading.Timer(0.05, lambda: pair.port.send(hawse.Text("woken"))).start()
        assert pair.next().text == "woken"


def test_what_a_frame_leaves_open_comes_from_the_frame_in_hand():
    with Pair() as first, Pair() as second:
        first.reader.add_output(second.port)
        first.port.send(hawse.Text("in", timestamp_ns=77, trace_id=88))
        first.next()
        second.port.send(hawse.Text("out"))
        second.port.send(hawse.Text("own", timestamp_ns=5, trace_id=6))
        built = build(second.port)
        assert built.timestamp_ns == 77
        second.port.send(built)
        assert [(f.timestamp_ns, f.trace_id) for f in (second.next(), second.next(), second.next())] == [(77, 88), (5, 6), (77, 88)]


def test_a_frame_of_a_source_is_of_now():
    import time
    with Pair() as pair:
        before = time.time_ns()
        pair.port.send(hawse.Text("a"))
        assert before <= pair.next().timestamp_ns <= time.time_ns()


def test_the_page_counts_frames_and_calls():
    with Pair() as pair:
        for _ in range(3):
            pair.port.send(hawse.Text("a"))
            pair.next()
        pair.reader.next(0)
        counts = _plane.page_counts(pair.page)
        assert (counts["frames_in"], counts["processed"]) == (3, 3)
        assert counts["since_ns"] > 0


def test_a_large_frame_arrives_whole():
    array = numpy.random.default_rng(1).integers(0, 255, (3000, 4000), "uint8")
    with Pair(slot_bytes=12_004_096 // 64 * 64, slots=2) as pair:
        assert pair.port.send(hawse.Tensor(array)) == 0
        assert numpy.array_equal(pair.next().array, array)


@pytest.mark.parametrize("call", [
    lambda port: port.build(1, 2, 3),
    lambda port: port.build(9, 0, 0, 0, 1, (), 4, None, 0),
    lambda port: port.build(4, 11, 0, 0, 1, (-1,), 4, None, 0),
    lambda port: port.build(4, 11, 0, 0, 1, [1], 4, None, 0),
    lambda port: port.build(4, 11, 0, 0, 1, (1,), -4, None, 0),
    lambda port: port.build(4, 11, 0, 0, 1, (1,), 4, "now", 0),
    lambda port: port.send("text"),
    lambda port: port.send(hawse.Frame.__new__(hawse.Frame)),
    lambda port: port.end(0),
    lambda port: port.add_arena(-1, 0, 4096, 2),
    lambda port: port.enable_arena(7),
    lambda port: port.set_link(0, 0, 0, 4, 9),
])
def test_mistakes_raise_and_change_nothing(call):
    with Pair() as pair:
        with pytest.raises((TypeError, ValueError, OverflowError, OSError, RuntimeError, SystemError)):
            call(pair.port)
        assert pair.port.slots_in_use == 0
        assert pair.port.send(hawse.Text("fine")) == 0
        assert pair.next().text == "fine"


def test_a_header_that_does_not_fit_its_payload_is_not_sent():
    with Pair() as pair:
        frame = pair.port.build(4, 11, 0, 0, 1, (1000, 1000), 16, None, 0)
        with pytest.raises(ValueError, match="fit"):
            pair.port.send(frame)
        del frame
        pair.port.pump()
        assert pair.port.slots_in_use == 0


def test_bytes_are_cut_to_what_was_needed():
    with Pair() as pair:
        out = Output("out", lambda spec: pair.port.build(*spec)).bytes(100)
        out.data[:3] = b"abc"
        out.resize(3)
        pair.port.send(out)
        frame = pair.next()
        assert bytes(frame.data) == b"abc"
        with pytest.raises(ValueError):
            frame.resize(1)


def test_like_takes_everything_but_the_payload():
    with Pair() as pair:
        video = hawse.Video(numpy.ones((4, 6, 3), "uint8"), rate=29.97, timestamp_ns=9, trace_id=4)
        out = Output("out", lambda spec: pair.port.build(*spec)).like(video)
        assert (out.pixels.shape, out.rate_ratio, out.timestamp_ns, out.duration_ns, out.trace_id) == ((4, 6, 3), (30000, 1001), 9, video.duration_ns, 4)


def test_garbage_in_the_link_is_refused_and_not_followed():
    with Pair() as pair:
        os.pwrite(pair.link_fd, (2**63).to_bytes(8, "little"), 10624)  # the stamp of descriptor 0
        with pytest.raises(RuntimeError, match="broke the rules"):
            pair.reader.next(0)
        assert pair.link.ended
