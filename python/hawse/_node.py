# SPDX-License-Identifier: Apache-2.0
"""The class that users derive their nodes from."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from hawse._outputs import Output


class EndOfStream(Exception):
    """Raised by produce(): the source has come to its end."""


class Log:
    """self.log: lines in the runtime's log, with this node's name and time. Arguments as in the logging module: log.info("%d faces", n)."""

    LEVELS = ("debug", "info", "warning", "error")

    def __init__(self, write: Callable[[str, str], None], level: str = "info") -> None:
        """write(level, text) takes what is at or above `level`."""
        self._write = write
        self._least = self.LEVELS.index(level) if level in self.LEVELS else 1

    def _log(self, level: int, text: object, arguments: tuple[Any, ...]) -> None:
        if level >= self._least:
            self._write(self.LEVELS[level], str(text) % arguments if arguments else str(text))

    def debug(self, text: object, *arguments: Any) -> None:
        self._log(0, text, arguments)

    def info(self, text: object, *arguments: Any) -> None:
        self._log(1, text, arguments)

    def warning(self, text: object, *arguments: Any) -> None:
        self._log(2, text, arguments)

    def error(self, text: object, *arguments: Any) -> None:
        self._log(3, text, arguments)


class Node:
    """A node of a pipeline: derive from it, and write process() (or produce(), for a source).

    Order of calls. setup(**params) once, with what the manifest gives under `params:`; then process(frame) once a frame until every input has
        ended, or produce() again and again until it raises EndOfStream, its generator ends, or the run is stopped; then finish() once; close()
        last, also after a failure.
    Ports. What process() takes is the input (its parameter names the port), what it gives is the output "out". A node with several inputs
        takes one parameter for each; a call has a frame for one of them and None for the others. Class attributes `inputs` and `outputs`
        (dicts of name to frame class) say so where annotations can't; several outputs are `yield "port", frame`.
    Results. process(), produce() and finish() may return a frame, several (list or tuple), or nothing; be a generator; or be `async` in either
        form. str, dict, bytes and arrays are taken as Text, Json, Bytes and Tensor.
    Flush. `self.output.flush()` overtakes what was sent: what its readers haven't taken yet is void, and flushed() is the next call that each gets.
        While a flush waits, `self.interrupted` is True, a generator ends at its next yield, and what is sent is void as well.
    Threads. All calls come from the node's main thread, one after the other. Frames may travel to other threads; outputs may not.
    Failure. An exception that leaves one of these is the node's failure: reported with its traceback, handled by the restart policy.
    """

    inputs: Mapping[str, Any] = {}
    outputs: Mapping[str, Any] = {}

    id: str
    """Name of the node in the manifest."""
    log: Log
    output: Output
    """The default output: the first one."""
    progress: Callable[..., None]
    """progress(what, done, total=0, unit=""): shown as a bar while something takes long, a model's load say."""

    alive: Callable[[], None] = staticmethod(lambda: None)
    """alive(): a sign of life in work that takes long, from any thread: the node's hang_timeout begins anew. progress() is one, too."""

    _interrupted: Callable[[], bool] = staticmethod(lambda: False)

    @property
    def interrupted(self) -> bool:
        """A flush waits: the frame in hand is void, and flushed() is called as soon as this call returns."""
        return self._interrupted()

    if TYPE_CHECKING:
        # Every node has its own parameters and results, so these have no signature in common.
        setup: Callable[..., Any]
        process: Callable[..., Any]
        produce: Callable[..., Any]
        flushed: Callable[..., Any]
        finish: Callable[..., Any]
        close: Callable[..., Any]
    else:

        def setup(self):
            """Loads what the node needs. Its parameters are the node's params; the manifest is checked against this signature."""

        def flushed(self, port):
            """A flush came into that input: drop what you hold of it. It is passed on to all outputs, unless this gives False."""

        def finish(self):
            """The end of the stream: gives what is left."""

        def close(self):
            """Lets go of what setup() took."""
