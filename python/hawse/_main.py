# SPDX-License-Identifier: Apache-2.0
"""Runs one node: `python3 -I -u -B SDK/hawse/_main.py`, the node's socket as descriptor 3. With `zygote` it forks nodes instead (_zygote.py).

The package is found from this file's own place.
"""
import os
import sys

if __name__ == "__main__":
    sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    if sys.argv[1:] == ["zygote"]:
        from hawse._zygote import main
    else:
        from hawse._host import main

    sys.exit(main())
