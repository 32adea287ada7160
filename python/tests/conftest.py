# SPDX-License-Identifier: Apache-2.0
"""The tests use the package of the build folder: PYTHONPATH=<build>/lib/hawse/python, or $HAWSE_PYTHON."""
import gc
import os
import sys
import threading

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
if os.environ.get("HAWSE_PYTHON"):
    sys.path.insert(0, os.environ["HAWSE_PYTHON"])


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def nothing_is_left(request):
    """Every test gives its descriptors back, and a hang ends with the stacks of all threads instead of never."""
    import faulthandler
    faulthandler.dump_traceback_later(240, exit=True)
    before = descriptors()
    yield
    gc.collect()
    faulthandler.cancel_dump_traceback_later()
    after = descriptors()
    for _ in range(100):
        if after <= before:
            break
        threading.Event().wait(0.02)  # a watching thread closes its own descriptors just after its socket
        after = descriptors()
    assert after <= before, "descriptors were left open"
