# SPDX-License-Identifier: Apache-2.0
"""Says which Python and NumPy it has, and passes on what it gets."""
import sys

import hawse
import numpy


class Says(hawse.Node):
    def setup(self) -> None:
        print(f"python {sys.version.split()[0]}, numpy {numpy.__version__}", flush=True)

    def process(self, tensor: hawse.Tensor) -> hawse.Tensor:
        out = self.output.like(tensor)
        numpy.copyto(out.array, tensor.array)
        return out
