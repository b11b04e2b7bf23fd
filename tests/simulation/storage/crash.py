"""Crashing a recorded workload after every one of its file operations, in every way that a power failure may end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from storage.fs.faulty import POWER_LOSSES, FaultyFileSystem, Loss, Operation
from tests.simulation.storage.checks import check_crash
from tests.simulation.storage.workload import Workload

OPERATIONS = 300
"""File operations of one workload: enough for every kind of step to come up."""


@dataclass(slots=True)
class Outcome:
    """What a run over the crash points showed."""

    points: int = 0
    crashes: int = 0


class CrashFound(AssertionError):
    """A crash after which something promised did not hold; the message ends with the command that replays it."""


def crash_everywhere(
    seed: int,
    operations: int,
    *,
    losses: Collection[Loss] = POWER_LOSSES,
    only: int | None = None,
    bug: str | None = None,
    look: Callable[[FaultyFileSystem], None] | None = None,
) -> Outcome:
    """Runs the workload of `seed` once and, after each operation up to `operations`, checks what a crash leaves.

    `only` picks one operation; `look` is shown each file system that a crash left; `bug` is named in the command that
    replays a failure. Raises: CrashFound.
    """
    fs = FaultyFileSystem(seed)
    workload = Workload(fs, seed)
    outcome = Outcome()

    def crash(operation: Operation) -> None:
        if operation.number > operations or only not in (None, operation.number):
            return
        outcome.points += 1
        for loss in losses:
            outcome.crashes += 1
            left = fs.crash(loss)
            if look is not None:
                look(left)
            try:
                check_crash(left, workload.node, workload.now_ms)
            except Exception as error:
                raise CrashFound(report(workload, operation, loss, error, bug)) from error

    fs.after = crash
    workload.run(operations)
    return outcome


def report(workload: Workload, operation: Operation, loss: Loss, error: Exception, bug: str | None) -> str:
    """What went wrong, where, and how to see it again."""
    last_steps = "\n".join(f"  {step}" for step in workload.steps[-5:])
    planted = f" --bug {bug}" if bug else ""
    return (
        f"{type(error).__name__}: {error}\n"
        f"after operation {operation.number} ({operation.kind.value} {operation.path}), loss {loss.value}, in\n"
        f"{last_steps}\n"
        f"replay: python -m tests.simulation.storage --seed {workload.fs.seed} --operations {workload.operations} "
        f"--point {operation.number} --variant {loss.value}{planted}"
    )
