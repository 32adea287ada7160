# SPDX-License-Identifier: Apache-2.0
"""Frames made outside of a runtime."""
import subprocess
import sys

import pytest

import hawse
from hawse import _frames

numpy = pytest.importorskip("numpy")


def test_audio_has_samples_by_channels_and_a_duration():
    audio = hawse.Audio(samples=numpy.zeros((480, 2), "int16"), rate=48000, timestamp_ns=5)
    assert audio.samples.shape == audio.shape == (480, 2)
    assert (audio.rate, audio.channels, audio.dtype, audio.type) == (48000, 2, "int16", "audio")
    assert (audio.duration_ns, audio.duration_ms, audio.timestamp_ns) == (10_000_000, 10.0, 5)
    assert (audio.sequence, audio.trace_id, audio.given_again, audio.nbytes) == (0, 0, False, 1920)


def test_one_dimension_of_samples_is_one_channel():
    assert hawse.Audio(numpy.zeros(160, "float32"), rate=16000).samples.shape == (160, 1)


def test_the_users_own_array_is_not_copied():
    array = numpy.zeros((3, 4))
    assert hawse.Tensor(array).array is array


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64",
                                   "complex64", "complex128"])
def test_tensors_have_every_dtype(dtype):
    tensor = hawse.Tensor(numpy.ones((2, 3), dtype))
    assert tensor.dtype == dtype
    assert tensor.nbytes == 6 * numpy.dtype(dtype).itemsize


def test_a_foreign_byte_order_is_turned_round():
    tensor = hawse.Tensor(numpy.array([1, 2], ">i4"))
    assert tensor.array.dtype.isnative
    assert tensor.array.tolist() == [1, 2]


def test_lists_and_scalars_become_tensors():
    assert hawse.Tensor([[1.0, 2.0]]).shape == (1, 2)
    assert hawse.Tensor(3.5).shape == ()


def test_a_tensor_is_an_array_and_speaks_dlpack():
    tensor = hawse.Tensor(numpy.arange(4, dtype="float32"))
    assert numpy.asarray(tensor).tolist() == [0, 1, 2, 3]
    assert numpy.from_dlpack(tensor).tolist() == [0, 1, 2, 3]


def test_pictures_guess_their_format_by_the_channels():
    assert hawse.Video(numpy.zeros((4, 6, 3), "uint8"), rate=25).format == "bgr24"
    assert hawse.Image(numpy.zeros((4, 6), "uint8")).format == "gray8"
    assert hawse.Image(numpy.zeros((4, 6, 4), "uint8"), format="rgba").format == "rgba"


def test_video_knows_its_size_rate_and_duration():
    video = hawse.Video(numpy.zeros((1080, 1920, 3), "uint8"), rate=29.97)
    assert (video.height, video.width, video.channels) == (1080, 1920, 3)
    assert video.rate_ratio == (30000, 1001)
    assert video.rate == pytest.approx(29.97, abs=0.001)
    assert video.duration_ns == 1001 * 1_000_000_000 // 30000


@pytest.mark.parametrize("rate, ratio", [(25, (25, 1)), (59.94, (60000, 1001)), (12.5, (12500, 1000)), ((24000, 1001), (24000, 1001)), (0, (0, 1))])
def test_rates_become_ratios(rate, ratio):
    assert _frames.rate_ratio(rate) == ratio


def test_yuv_has_three_planes_in_place():
    memory = numpy.arange(6 * 4, dtype="uint8").reshape(6, 4, 1)
    video = hawse.Video(memory, format="yuv420p", rate=25)
    assert (video.height, video.width) == (4, 4)
    y, u, v = video.planes
    assert (y.shape, u.shape, v.shape) == ((4, 4), (2, 2), (2, 2))
    assert u.tolist() == [[16, 17], [18, 19]]
    assert all(numpy.shares_memory(plane, memory) for plane in (y, u, v))


def test_text_behaves_like_its_text():
    text = hawse.Text("Grüße", timestamp_ns=1, duration_ns=2)
    assert (text.text, str(text), f"{text}", len(text)) == ("Grüße", "Grüße", "Grüße", 5)
    assert text == "Grüße" and text == hawse.Text("Grüße") and "rüß" in text
    assert text.nbytes == 7
    assert (text.timestamp_ns, text.duration_ns) == (1, 2)
    assert bool(hawse.Text(""))


def test_json_is_a_snapshot_of_the_value():
    value = {"a": [1, 2]}
    frame = hawse.Json(value)
    value["a"].append(3)
    assert frame.value == {"a": [1, 2]}
    assert frame.text == '{"a":[1,2]}'


def test_bytes_are_anything_with_a_buffer():
    assert bytes(hawse.Bytes(b"abc").data) == b"abc"
    assert bytes(hawse.Bytes(bytearray(3))) == b"\0\0\0"
    assert len(hawse.Bytes(memoryview(b"12345")[1:3])) == 2


@pytest.mark.parametrize("make, says", [
    (lambda: hawse.Audio(numpy.zeros((2, 2, 2)), rate=1), "shape"),
    (lambda: hawse.Audio(numpy.zeros(2), rate=0), "rate"),
    (lambda: hawse.Image(numpy.zeros((2, 2, 3))), "uint8"),
    (lambda: hawse.Image(numpy.zeros((2, 2, 5), "uint8")), "format"),
    (lambda: hawse.Image(numpy.zeros((2, 2, 3), "uint8"), format="bgr"), "rgb24"),
    (lambda: hawse.Image(numpy.zeros((2, 2, 3), "uint8"), format="rgba"), "channels"),
    (lambda: hawse.Tensor(numpy.array(["a"])), "dtype"),
    (lambda: hawse.Tensor(numpy.zeros((1,) * 9)), "dimensions"),
    (lambda: hawse.Json(float("nan")), "nan|JSON"),
])
def test_what_cannot_be_is_refused_and_says_why(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_repr_says_what_it_is():
    assert repr(hawse.Audio(numpy.zeros(160, "float32"), rate=16000, timestamp_ns=1_500_000_000)) == "Audio(160 samples x 1, float32, 16000 Hz, at 1.500 s)"
    assert repr(hawse.Text("a")) == "Text('a')"
    assert repr(hawse.Tensor(numpy.zeros((2, 3)))) == "Tensor(2 x 3, float64)"


def test_times_can_be_set_until_a_frame_is_sent():
    frame = hawse.Text("a")
    frame.timestamp_ns, frame.duration_ns, frame.trace_id = -5, 7, 2**64 - 1
    assert (frame.timestamp_ns, frame.duration_ns, frame.trace_id) == (-5, 7, 2**64 - 1)
    with pytest.raises(ValueError):
        frame.duration_ns = -1
    with pytest.raises((ValueError, OverflowError)):
        frame.trace_id = -1


WITHOUT_NUMPY = """
import sys
sys.modules["numpy"] = None
import hawse, array
audio = hawse.Audio(array.array("f", [1, 2, 3]), rate=16000)
assert audio.shape == (3, 1) and audio.dtype == "float32", audio
from hawse._outputs import Output, build_locally
out = Output("out", build_locally).tensor((2, 3), "int16")
out.array[1, 2] = 7
assert out.array.tolist() == [[0, 0, 0], [0, 0, 7]] and out.array.format == "h"
assert hawse.Text("a").text == "a" and hawse.Bytes(b"ab").nbytes == 2
print("fine")
"""


def test_works_without_numpy():
    answer = subprocess.run([sys.executable, "-c", WITHOUT_NUMPY], capture_output=True, text=True,
                            env={"PYTHONPATH": _frames.__file__.rsplit("/", 2)[0]})
    assert (answer.stdout, answer.stderr) == ("fine\n", "")


def test_importing_the_package_takes_nothing_heavy_along():
    code = "import sys, hawse; print(' '.join(m for m in ('numpy', 'asyncio', 'ctypes', 'typing', 'socket', 'subprocess', 'inspect', 'mmap') if m in sys.modules))"
    answer = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {_frames.__file__.rsplit('/', 2)[0]!r}); {code}"],
                            capture_output=True, text=True)
    assert (answer.stdout, answer.stderr) == ("\n", "")
