"""`logd` with its work counted, told at the end.

    python -m tests.support.counted_broker FILE serve …

Takes the arguments of `logd`. When it ends in an orderly way, FILE holds two numbers: the functions that were called on
the main thread, those of C included, and the memory blocks that were then allocated. What the broker does by the clock
is left out: a busy machine gives it more time for that.
"""

from __future__ import annotations

import sys
from asyncio import futures
from itertools import count
from pathlib import Path
from types import FrameType

from logd.__main__ import main
from logd.housekeeping import Housekeeping
from logd.server import Server

BY_THE_CLOCK = frozenset(
    function.__code__
    for function in (
        Housekeeping._tick,
        Housekeeping._work,
        Server._sweep,
        futures._set_result_unless_cancelled,  # type: ignore[attr-defined]  # the end of a sleep
    )
)
"""With all that they call. A coroutine is called each time that it goes on, and returns when it waits."""


def counted_main(result: Path) -> int:
    calls = count()
    aside: FrameType | None = None

    def note(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal aside
        if aside is not None:
            if frame is aside and event == "return":
                aside = None
        elif event == "call" and frame.f_code in BY_THE_CLOCK:
            aside = frame
        elif event in ("call", "c_call"):
            next(calls)

    sys.setprofile(note)
    try:
        return main()
    finally:
        sys.setprofile(None)
        result.write_text(f"{next(calls)} {sys.getallocatedblocks()}\n")


if __name__ == "__main__":
    where = Path(sys.argv.pop(1))
    sys.exit(counted_main(where))
