# SPDX-License-Identifier: Apache-2.0
"""Frames of several inputs that belong together, by their timestamps (docs/manifest.md, "Matched inputs").

The rule and the invariants are those of src/node/matcher.hpp, where they are written down; tests/data/matching.json holds both to one behaviour.
"""
from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque

    Held = tuple[Any, int, int]  # item, its timestamp, when it came


class Matcher:
    """tolerance, wait: nanoseconds. hold: items an input. drop(item) is called with each that finds no partner."""

    def __init__(self, inputs: int, tolerance: int, wait: int, hold: int, drop: Callable[[Any], None]) -> None:
        self._held: list[Deque[Held]] = [deque() for _ in range(inputs)]
        self._ended: set[int] = set()
        self._tolerance, self._wait, self._hold, self._drop = tolerance, wait, hold, drop
        self._over = False

    def has_room(self, index: int) -> bool:
        return len(self._held[index]) < self._hold

    def add(self, index: int, item: Any, timestamp_ns: int, now_ns: int) -> None:
        self._held[index].append((item, timestamp_ns, now_ns))
        if self._over:
            self.clear()

    def end(self, index: int) -> None:
        self._ended.add(index)
        self._drop_if_over()

    def take(self) -> list[Any] | None:
        """The next set, an item of every input in their order; None: none is complete."""
        while all(self._held):
            if not self._drop_one_hopeless():
                found = [held.popleft()[0] for held in self._held]
                self._drop_if_over()
                return found
        self._drop_if_over()
        return None

    def deadline_ns(self) -> int | None:
        """When the first of those held gives up; None: nothing is held."""
        first = min((held[0][2] for held in self._held if held), default=None)
        return None if first is None else first + self._wait

    def expire(self, now_ns: int) -> None:
        for held in self._held:
            while held and now_ns - held[0][2] >= self._wait:
                self._drop(held.popleft()[0])
        self._drop_if_over()

    def clear(self, index: int | None = None) -> None:
        """Of one input, or of all."""
        for held in self._held if index is None else [self._held[index]]:
            while held:
                self._drop(held.popleft()[0])
        if index is not None:
            self._drop_if_over()

    def _drop_one_hopeless(self) -> bool:
        time = max(held[0][1] for held in self._held)
        for held in self._held:
            far = time - held[0][1]
            if far > self._tolerance or (len(held) > 1 and abs(held[1][1] - time) < far):
                self._drop(held.popleft()[0])
                return True
        return False

    def _drop_if_over(self) -> None:
        self._over = self._over or any(not self._held[index] for index in self._ended)
        if self._over:
            self.clear()
