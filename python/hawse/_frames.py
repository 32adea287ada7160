# SPDX-License-Identifier: Apache-2.0
"""Frames: what travels between nodes.

A received frame is a lease on memory of its sender: read in place, read-only, given back when the frame and the last view of it are gone.
A frame from `self.output` is built in place in this node's own memory and sent without a copy. A frame made by its class
(`hawse.Audio(samples=array, rate=16000)`) lies in the program's own memory and costs one copy when it's sent (text and JSON: none, they are
written straight into the slot).
"""
from __future__ import annotations

import sys

from hawse import _plane
from hawse._json import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    Rate = Union[int, float, tuple[int, int]]

TYPES = ("none", "audio", "video", "image", "tensor", "text", "json", "bytes", "control")
DTYPES = ("none", "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
          "float16", "float32", "float64", "bfloat16", "complex64", "complex128")
DTYPE_BYTES = (0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, 2, 8, 16)
FORMATS = ("none", "rgb24", "bgr24", "rgba", "bgra", "gray8", "yuv420p")
CHANNELS = (0, 3, 3, 4, 4, 1, 1)
AUDIO, VIDEO, IMAGE, TENSOR, TEXT, JSON, BYTES = range(1, 8)
UINT8, FLOAT32, YUV420P = 3, 11, 6
_CAST = ("B", "?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d", "H", "", "")  # what memoryview calls them
_CODES = {name: code for code, name in enumerate(DTYPES)}
_CODES.update({"float": 12, "int": 8, "half": 10, "double": 12, "single": 11})
_NATIVE = {"?": 1, "b": 2, "B": 3, "h": 4, "H": 5, "i": 6, "I": 7, "q": 8, "Q": 9, "l": 8, "L": 9, "e": 10, "f": 11, "d": 12, "c": 3}

_numpy_module: Any = None
_numpy_tried = False
_numpy_dtypes: dict[int, Any] = {}


def numpy_or_none() -> Any:
    """NumPy, imported at the first frame that is looked at as an array; None where there is none."""
    global _numpy_module, _numpy_tried
    if not _numpy_tried:
        _numpy_tried = True
        try:
            import numpy
            _numpy_module = numpy
        except ImportError:
            _numpy_module = None
    return _numpy_module


def dtype_code(dtype: Any) -> int:
    """Code of a dtype given as name, NumPy dtype or scalar type. Raises ValueError with the names there are."""
    name = str(dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", dtype))
    code = _CODES.get(name.replace("torch.", "").rstrip("_"), 0)
    if code == 0 and _numpy_tried and _numpy_module is not None:
        try:
            code = _CODES.get(_numpy_module.dtype(dtype).name, 0)
        except TypeError:
            code = 0
    if code == 0:
        raise ValueError(f"no dtype {dtype!r}; there are {', '.join(DTYPES[1:])}")
    return code


def format_code(name: str) -> int:
    if name not in FORMATS[1:]:
        raise ValueError(f"no pixel format {name!r}; there are {', '.join(FORMATS[1:])}")
    return FORMATS.index(name)


def rate_ratio(rate: Rate) -> tuple[int, int]:
    """Frames a second as numerator, denominator: 25 -> (25, 1), 29.97 -> (30000, 1001)."""
    if isinstance(rate, tuple):
        return rate
    if rate == int(rate):
        return int(rate), 1
    ntsc = round(rate * 1.001)
    if abs(ntsc * 1000 / 1001 - rate) < 0.005:
        return ntsc * 1000, 1001
    return round(rate * 1000), 1000


def elements(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def pixel_shape(height: int, width: int, code: int) -> tuple[int, int, int]:
    """Shape of a picture's memory. yuv420p: Y, then U, then V, as rows of one plane."""
    if code == YUV420P:
        if height % 2 or width % 2:
            raise ValueError(f"yuv420p needs even sides, not {width} x {height}")
        return height * 3 // 2, width, 1
    return height, width, CHANNELS[code]


def _numpy_dtype(numpy: Any, code: int) -> Any:
    dtype = _numpy_dtypes.get(code)
    if dtype is None:
        name = DTYPES[code]
        if name == "bfloat16":
            try:
                import ml_dtypes  # type: ignore[import-not-found, unused-ignore]
                dtype = numpy.dtype(ml_dtypes.bfloat16)
            except ImportError:
                dtype = numpy.dtype("uint16")
        else:
            dtype = numpy.dtype(name)
        _numpy_dtypes[code] = dtype
    return dtype


def _view(frame: Frame, code: int, shape: tuple[int, ...]) -> Any:
    """The payload in place: a NumPy array; without NumPy a memoryview of the same shape and type."""
    numpy = _numpy_module if _numpy_tried else numpy_or_none()
    memory = frame._memory()
    if numpy is not None:
        return numpy.ndarray(shape, _numpy_dtypes.get(code) or _numpy_dtype(numpy, code), memory)
    view = memoryview(memory).cast("B")
    if not _CAST[code] or 0 in shape:
        return view
    return view.cast(_CAST[code]) if len(shape) < 2 else view.cast("B").cast(_CAST[code], list(shape))  # type: ignore[call-overload]


def _array_like(value: Any) -> tuple[Any, int, tuple[int, ...]]:
    """What a user gives as an array: (object with its memory, dtype code, shape)."""
    if "numpy" in sys.modules or not isinstance(value, (bytes, bytearray, memoryview)):
        numpy = numpy_or_none()
        if numpy is not None:
            array = value if isinstance(value, numpy.ndarray) else numpy.asarray(value)
            if not array.dtype.isnative:
                array = array.astype(array.dtype.newbyteorder("="))
            code = dtype_code(array.dtype)
            return (array.view("uint16") if array.dtype.name == "bfloat16" else array), code, tuple(array.shape)
    view = memoryview(value)
    code = _NATIVE.get(view.format.lstrip("@="), 0)
    if code == 0:
        raise ValueError(f"memory of format {view.format!r} has no dtype of a frame")
    return view, code, tuple(view.shape or ())


class Frame(_plane.Frame):
    """What every frame has: `timestamp_ns`, `duration_ns`, `sequence`, `trace_id`, `given_again`, `shape`, `nbytes`.

    timestamp_ns  capture time of the first sample: media time for media, else nanoseconds since 1970. A frame that is sent without one takes
                  that of the frame in hand.
    sequence      number at the port that sent it, from 1 without gaps; 0 before it is sent.
    trace_id      follows a frame through the pipeline: taken over from the frame in hand.
    given_again   True where the node that had this frame before died with it (at-least-once delivery).
    """

    __slots__ = ()

    @property
    def type(self) -> str:
        """audio, video, image, tensor, text, json or bytes."""
        return TYPES[self._type]

    @property
    def data(self) -> memoryview:
        """The payload's bytes in place, whatever the type; read-only in a received frame."""
        memory = self._memory()
        view = memoryview(memory.encode() if isinstance(memory, str) else memory)
        return (view if view.c_contiguous else memoryview(view.tobytes())).cast("B")[: self.nbytes]

    def _facts(self) -> list[str]:
        return [f"{self.nbytes} bytes"]

    def __repr__(self) -> str:
        facts = self._facts()
        if self.timestamp_ns:
            facts.append(f"at {self.timestamp_ns / 1e9:.3f} s")
        if self.sequence:
            facts.append(f"#{self.sequence}")
        return f"{type(self).__name__}({', '.join(facts)})"


class Audio(Frame):
    """Sound. `samples` has shape (samples, channels); values of floating dtypes lie in -1..1."""

    __slots__ = ()

    def __init__(self, samples: Any, rate: int, *, timestamp_ns: int | None = None, duration_ns: int | None = None, trace_id: int = 0) -> None:
        """samples: array of shape (samples, channels) or (samples,). rate: samples a second. duration_ns: samples / rate if not given."""
        source, code, shape = _array_like(samples)
        if len(shape) == 1:
            shape = (shape[0], 1)
        if len(shape) != 2:
            raise ValueError(f"audio has shape (samples, channels), not {shape}")
        if rate <= 0:
            raise ValueError(f"audio has a rate in samples a second, not {rate}")
        duration_ns = shape[0] * 1_000_000_000 // rate if duration_ns is None else duration_ns
        self._own(AUDIO, code, 0, rate, 1, shape, elements(shape) * DTYPE_BYTES[code], timestamp_ns, duration_ns, trace_id, source, 1)
        self._value = source.reshape(shape) if hasattr(source, "reshape") else None

    @property
    def samples(self) -> Any:
        """The samples in place, shape (samples, channels); read-only in a received frame."""
        value = self._value
        if value is None:
            value = self._value = _view(self, self._dtype, self.shape)
        return value

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self._rate_numerator

    @property
    def channels(self) -> int:
        return self.shape[1]

    @property
    def dtype(self) -> str:
        return DTYPES[self._dtype]

    @property
    def duration_ms(self) -> float:
        return self.duration_ns / 1e6

    def _facts(self) -> list[str]:
        return [f"{self.shape[0]} samples x {self.shape[1]}", self.dtype, f"{self.rate} Hz"]


class _Picture(Frame):
    __slots__ = ()

    @property
    def pixels(self) -> Any:
        """uint8 in place, shape (height, width, channels), read-only in a received frame. yuv420p: (height * 3 / 2, width, 1), see `planes`."""
        value = self._value
        if value is None:
            value = self._value = _view(self, UINT8, self.shape)
        return value

    @property
    def format(self) -> str:
        """rgb24, bgr24, rgba, bgra, gray8 or yuv420p."""
        return FORMATS[self._format]

    @property
    def height(self) -> int:
        rows = self.shape[0]
        return rows * 2 // 3 if self._format == YUV420P else rows

    @property
    def width(self) -> int:
        return self.shape[1]

    @property
    def channels(self) -> int:
        return self.shape[2]

    @property
    def planes(self) -> tuple[Any, ...]:
        """yuv420p: Y (height, width), U and V (height / 2, width / 2), in place. Else the pixels alone. Needs NumPy."""
        if self._format != YUV420P:
            return (self.pixels,)
        height, width = self.height, self.width
        flat = self.pixels.reshape(-1)
        y, quarter = height * width, height * width // 4
        half = (height // 2, width // 2)
        return flat[:y].reshape(height, width), flat[y : y + quarter].reshape(half), flat[y + quarter :].reshape(half)

    def _facts(self) -> list[str]:
        return [f"{self.width} x {self.height}", self.format]

    def _own_pixels(self, kind: int, pixels: Any, format: str | None, rate: tuple[int, int], timestamp_ns: int | None, duration_ns: int,
                    trace_id: int) -> None:
        source, code, shape = _array_like(pixels)
        if code != UINT8:
            raise ValueError(f"pixels are uint8, not {DTYPES[code]}")
        if len(shape) == 2:
            shape = (*shape, 1)
        if len(shape) != 3:
            raise ValueError(f"pixels have shape (height, width, channels), not {shape}")
        guess = {1: "gray8", 3: "bgr24", 4: "bgra"}.get(shape[2], "")
        pixel_format = format_code(format or guess)
        if shape[2] != CHANNELS[pixel_format]:
            raise ValueError(f"{FORMATS[pixel_format]} has {CHANNELS[pixel_format]} channels, the pixels have {shape[2]}")
        self._own(kind, UINT8, pixel_format, *rate, shape, elements(shape), timestamp_ns, duration_ns, trace_id, source, 1)
        self._value = source.reshape(shape) if hasattr(source, "reshape") else None


class Video(_Picture):
    """One picture of a moving one. `pixels` is uint8 of shape (height, width, channels)."""

    __slots__ = ()

    def __init__(self, pixels: Any, *, rate: Rate = 0, format: str | None = None, timestamp_ns: int | None = None, duration_ns: int | None = None,
                 trace_id: int = 0) -> None:
        """rate: frames a second, 25 or 29.97 or (30000, 1001); 0: not known. format: by the channels (1 gray8, 3 bgr24, 4 bgra) if not given."""
        numerator, denominator = rate_ratio(rate)
        if duration_ns is None:
            duration_ns = denominator * 1_000_000_000 // numerator if numerator else 0
        self._own_pixels(VIDEO, pixels, format, (numerator, denominator), timestamp_ns, duration_ns, trace_id)

    @property
    def rate(self) -> float:
        """Frames a second; 0: not known. Exactly: `rate_ratio`."""
        return self._rate_numerator / self._rate_denominator if self._rate_denominator else 0.0

    @property
    def rate_ratio(self) -> tuple[int, int]:
        return self._rate_numerator, self._rate_denominator


class Image(_Picture):
    """A single picture. `pixels` is uint8 of shape (height, width, channels)."""

    __slots__ = ()

    def __init__(self, pixels: Any, *, format: str | None = None, timestamp_ns: int | None = None, trace_id: int = 0) -> None:
        """format: by the channels (1 gray8, 3 bgr24, 4 bgra) if not given."""
        self._own_pixels(IMAGE, pixels, format, (0, 1), timestamp_ns, 0, trace_id)


class Tensor(Frame):
    """An array of any shape (up to 8 dimensions) and dtype."""

    __slots__ = ()

    def __init__(self, array: Any, *, timestamp_ns: int | None = None, duration_ns: int = 0, trace_id: int = 0) -> None:
        """array: a NumPy array, or anything that NumPy makes one of; without NumPy anything with a buffer."""
        source, code, shape = _array_like(array)
        self._own(TENSOR, code, 0, 0, 1, shape, elements(shape) * DTYPE_BYTES[code], timestamp_ns, duration_ns, trace_id, source, 1)
        self._value = source

    @property
    def array(self) -> Any:
        """The array in place, read-only in a received frame. bfloat16 needs the package ml_dtypes; without it the bits come as uint16."""
        value = self._value
        if value is None:
            value = self._value = _view(self, self._dtype, self.shape)
        return value

    @property
    def dtype(self) -> str:
        return DTYPES[self._dtype]

    def __array__(self, *args: Any, **keywords: Any) -> Any:
        array = self.array
        return array if not args and not keywords else array.__array__(*args, **keywords)

    def __dlpack__(self, **keywords: Any) -> Any:
        """DLPack by NumPy: torch.from_dlpack(frame) shares the memory. Older NumPy gives read-only memory out with BufferError."""
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def _facts(self) -> list[str]:
        return [" x ".join(map(str, self.shape)) or "scalar", self.dtype]


class Text(Frame):
    """UTF-8 text. `str(frame)` and `frame.text` are the text."""

    __slots__ = ()

    def __init__(self, text: str, *, timestamp_ns: int | None = None, duration_ns: int = 0, trace_id: int = 0) -> None:
        self._own(TEXT, 0, 0, 0, 1, (), 0, timestamp_ns, duration_ns, trace_id, str(text), 0)

    @property
    def text(self) -> str:
        value = self._value
        if value is None:
            value = self._value = self._text()
        return value  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return self.text

    def __len__(self) -> int:
        return len(self.text)

    def __bool__(self) -> bool:
        return True

    def __contains__(self, part: str) -> bool:
        return part in self.text

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Text):
            return self.text == other.text
        return self.text == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def _facts(self) -> list[str]:
        return [repr(self.text)]


class Json(Frame):
    """A JSON value. `frame.value` is it as Python objects, `frame.text` as text."""

    __slots__ = ()

    def __init__(self, value: Any, *, timestamp_ns: int | None = None, duration_ns: int = 0, trace_id: int = 0) -> None:
        """value: dicts, lists, strings, numbers, booleans, None. Raises TypeError or ValueError on what JSON hasn't."""
        self._own(JSON, 0, 0, 0, 1, (), 0, timestamp_ns, duration_ns, trace_id, dumps(value), 0)

    @property
    def value(self) -> Any:
        value = self._value
        if value is None:
            value = self._value = loads(self._text())
        return value

    @property
    def text(self) -> str:
        return self._text()

    def _facts(self) -> list[str]:
        text = self._text()
        return [text if len(text) < 60 else text[:57] + "..."]


class Bytes(Frame):
    """Anything else. `data` is a memoryview."""

    __slots__ = ()

    def __init__(self, data: Any, *, timestamp_ns: int | None = None, duration_ns: int = 0, trace_id: int = 0) -> None:
        """data: anything with a buffer."""
        view = memoryview(data)
        self._own(BYTES, 0, 0, 0, 1, (), view.nbytes, timestamp_ns, duration_ns, trace_id, data, 1)

    @property
    def data(self) -> memoryview:
        """The bytes in place, read-only in a received frame."""
        value = self._value
        if value is None:
            value = self._value = super().data
        return value  # type: ignore[no-any-return]

    def resize(self, nbytes: int) -> None:
        """Cuts a frame that is being built to its first nbytes; take `data` again afterwards."""
        self._resize(nbytes)

    def __bytes__(self) -> bytes:
        return bytes(self.data)

    def __len__(self) -> int:
        return self.nbytes

    def __bool__(self) -> bool:
        return True


CLASSES: dict[str, type[Frame]] = {"audio": Audio, "video": Video, "image": Image, "tensor": Tensor, "text": Text, "json": Json, "bytes": Bytes}
_plane.set_frame_types((None, Audio, Video, Image, Tensor, Text, Json, Bytes, None))
