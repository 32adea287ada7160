# SPDX-License-Identifier: Apache-2.0
"""A source that needs NumPy in its setup(), and ends at once."""
import hawse


class Ends(hawse.Node):
    def setup(self) -> None:
        import numpy
        assert numpy.ndarray

    def produce(self) -> hawse.Bytes:
        raise hawse.EndOfStream
