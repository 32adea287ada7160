# SPDX-License-Identifier: Apache-2.0
"""Hawsepipe in Python: write a node, test it, embed a pipeline.

    import hawse

    class Loud(hawse.Node):
        def setup(self, gain: float = 2.0) -> None:
            self.gain = gain

        def process(self, audio: hawse.Audio) -> hawse.Audio:
            out = self.output.like(audio)
            out.samples[:] = audio.samples * self.gain
            return out

See docs/python.md. `hawse.testing` runs a node without a runtime; `hawse.Pipeline` runs a pipeline inside this program.
"""
from hawse._frames import Audio, Bytes, Frame, Image, Json, Tensor, Text, Video
from hawse._node import EndOfStream, Log, Node
from hawse._outputs import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse._session import Pipeline, PipelineError, Session

__version__ = "0.1.0"
__all__ = ["Audio", "Bytes", "EndOfStream", "Frame", "Image", "Json", "Log", "Node", "Output", "Pipeline", "PipelineError", "Session", "Tensor", "Text",
           "Video"]


def __getattr__(name: str) -> object:
    # A node never embeds a pipeline: that part is imported when it is asked for.
    if name in ("Pipeline", "PipelineError", "Session"):
        from hawse import _session
        return getattr(_session, name)
    raise AttributeError(f"module 'hawse' has no attribute {name!r}")
