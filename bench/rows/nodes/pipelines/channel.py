# SPDX-License-Identifier: Apache-2.0
"""How the benchmark talks to a peer's processes: commands and answers, one JSON object a line, over two named pipes in $HAWSE_BENCH_CHANNEL."""
import json
import os


def path(name):
    return os.path.join(os.environ["HAWSE_BENCH_CHANNEL"], name)


def commands():
    """Until the benchmark says that it is over, or is gone."""
    with open(path("command")) as lines:
        for line in lines:
            command = json.loads(line)
            if "end" in command:
                return
            yield command


def answer(value):
    with open(path("answer"), "w") as file:
        file.write(json.dumps(value) + "\n")
