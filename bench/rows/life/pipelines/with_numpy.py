# SPDX-License-Identifier: Apache-2.0
"""A source that needs NumPy in its setup(), and ends at once."""
import os

import hawse


class Ends(hawse.Node):
    def setup(self) -> None:
        import numpy
        assert numpy.ndarray

    def produce(self) -> hawse.Bytes:
        raise hawse.EndOfStream


class EndsTheSecondTime(Ends):
    """Its first start fails, so that its second one can be timed."""

    def setup(self, flag: str) -> None:
        super().setup()
        if not os.path.exists(flag):
            with open(flag, "w"):
                raise RuntimeError("this was the first start")
