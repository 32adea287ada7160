# SPDX-License-Identifier: Apache-2.0
"""Outputs: where a node builds the frames that it sends.

Each method gives a frame whose payload isn't filled yet, in the memory of the output port itself; fill its view, then return or yield it.
After it's sent its memory belongs to the readers: a view that is kept stays readable, but what is written to it is seen by them.
All of it from the node's own thread only.
"""
from __future__ import annotations

from hawse import _frames, _plane
from hawse._frames import Audio, Bytes, Frame, Image, Json, Tensor, Text, Video

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    # type, dtype, format, rate numerator and denominator, shape, payload bytes, timestamp or None, duration
    Spec = tuple[int, int, int, int, int, tuple[int, ...], int, Optional[int], int]
    Build = Callable[[Spec], _plane.Frame]


def build_locally(spec: Spec) -> _plane.Frame:
    """A frame that no port has memory for: of an output without readers, or without a runtime."""
    frame_class = (Frame, Audio, Video, Image, Tensor, Text, Json, Bytes)[spec[0]]
    frame = frame_class.__new__(frame_class)
    frame._own(*spec, 0, bytearray(spec[6]), 1)
    return frame


class Output:
    """One output port as its node sees it. Sizes are checked; MemoryError where the pipeline's limit for this node's frames is reached."""

    __slots__ = ("name", "_build", "_flush")

    def __init__(self, name: str, build: Build, flush: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self._build = build
        self._flush = flush

    def flush(self) -> None:
        """What was sent and not yet taken is void, and the next that this port's readers hear of is the flush: their flushed() is called."""
        self._flush()

    def audio(self, *, samples: int, channels: int = 1, rate: int, timestamp_ns: int | None = None, duration_ns: int | None = None,
              dtype: Any = "float32") -> Audio:
        """Sound to fill in `.samples`, shape (samples, channels). rate: samples a second."""
        code = 11 if dtype == "float32" else _frames.dtype_code(dtype)
        if rate <= 0:
            raise ValueError(f"audio has a rate in samples a second, not {rate}")
        if duration_ns is None:
            duration_ns = samples * 1_000_000_000 // rate
        nbytes = samples * channels * _frames.DTYPE_BYTES[code]
        return self._build((1, code, 0, rate, 1, (samples, channels), nbytes, timestamp_ns, duration_ns))  # type: ignore[return-value]

    def video(self, height: int, width: int, format: str = "bgr24", rate: _frames.Rate = 0, *, timestamp_ns: int | None = None,
              duration_ns: int | None = None) -> Video:
        """A picture to fill in `.pixels`, uint8 of shape (height, width, channels). rate: frames a second; 0: not known."""
        numerator, denominator = _frames.rate_ratio(rate)
        if duration_ns is None:
            duration_ns = denominator * 1_000_000_000 // numerator if numerator else 0
        return self._picture(2, height, width, format, numerator, denominator, timestamp_ns, duration_ns)  # type: ignore[return-value]

    def image(self, height: int, width: int, format: str = "bgr24", *, timestamp_ns: int | None = None) -> Image:
        """A picture to fill in `.pixels`, uint8 of shape (height, width, channels)."""
        return self._picture(3, height, width, format, 0, 1, timestamp_ns, 0)  # type: ignore[return-value]

    def _picture(self, kind: int, height: int, width: int, format: str, numerator: int, denominator: int, timestamp_ns: int | None,
                 duration_ns: int) -> _plane.Frame:
        code = _frames.format_code(format)
        shape = _frames.pixel_shape(height, width, code)
        return self._build((kind, 3, code, numerator, denominator, shape, shape[0] * shape[1] * shape[2], timestamp_ns, duration_ns))

    def tensor(self, shape: Any, dtype: Any = "float32", *, timestamp_ns: int | None = None, duration_ns: int = 0) -> Tensor:
        """An array to fill in `.array`. shape: a tuple of up to 8 extents, or one number."""
        code = 11 if dtype == "float32" else _frames.dtype_code(dtype)
        if type(shape) is not tuple:
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
        nbytes = _frames.elements(shape) * _frames.DTYPE_BYTES[code]
        return self._build((4, code, 0, 0, 1, shape, nbytes, timestamp_ns, duration_ns))  # type: ignore[return-value]

    def bytes(self, nbytes: int, *, timestamp_ns: int | None = None, duration_ns: int = 0) -> Bytes:
        """Bytes to fill in `.data`; `.resize(n)` cuts them to what was needed."""
        return self._build((7, 0, 0, 0, 1, (), nbytes, timestamp_ns, duration_ns))  # type: ignore[return-value]

    def text(self, text: str, *, timestamp_ns: int | None = None, duration_ns: int = 0) -> Text:
        """The same as hawse.Text: text is written straight into the slot when it's sent."""
        return Text(text, timestamp_ns=timestamp_ns, duration_ns=duration_ns)

    def json(self, value: Any, *, timestamp_ns: int | None = None, duration_ns: int = 0) -> Json:
        """The same as hawse.Json: JSON is written straight into the slot when it's sent."""
        return Json(value, timestamp_ns=timestamp_ns, duration_ns=duration_ns)

    def like(self, frame: Any) -> Any:
        """A frame of the same class, type, shape and times as `frame`, its payload not filled."""
        built = self._build((frame._type, frame._dtype, frame._format, frame._rate_numerator, frame._rate_denominator, frame.shape, frame.nbytes,
                             frame.timestamp_ns, frame.duration_ns))
        built.trace_id = frame.trace_id
        return built


class Outputs(dict):  # type: ignore[type-arg]
    """self.outputs: the node's output ports by name. A port that no edge uses takes frames and drops them."""

    def __missing__(self, name: str) -> Output:
        output = self[name] = Output(name, build_locally)
        return output
