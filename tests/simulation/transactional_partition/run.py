"""One life of a transactional partition, made from its seed alone."""

from __future__ import annotations

import random

from tests.simulation.transactional_partition.steps import LIMIT, step_of
from tests.simulation.transactional_partition.world import Step, World

STEPS = 120


class Violation(AssertionError):
    """A promise was broken; says how to see it again."""


def run(seed: int, *, bug: str | None = None) -> World:
    """Raises: Violation."""
    choose = random.Random(seed)
    world = World()
    steps: list[Step] = []
    try:
        for _ in range(STEPS):
            steps.append(step_of(*(choose.randrange(LIMIT) for _ in range(3))))
            world.step(steps[-1])
        world.settle()
    except Exception as error:
        last = "\n".join(map(str, steps[-8:]))
        replay = f"python -m tests.simulation.transactional_partition --start {seed}"
        planted = f" --bug {bug}" if bug else ""
        text = f"step {len(steps)}: {error!r}\nthe last steps:\n{last}\n{replay}{planted}"
        raise Violation(text) from error
    return world
