# SPDX-License-Identifier: Apache-2.0
"""Runs one node: `python3 -I -u -B SDK/hawse/_main.py`, the node's socket as descriptor 3. The package is found from this file's own place."""
import os
import sys

if __name__ == "__main__":
    sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    from hawse._host import main

    sys.exit(main())
