"""`logd` with its work counted, told at the end.

    python -m tests.support.counted_broker FILE serve …

Takes the arguments of `logd`. When it ends in an orderly way, FILE holds two numbers: the functions that were called on
the main thread, those of C included, and the memory blocks that were then allocated.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from types import FrameType

from logd.__main__ import main


def counted_main(result: Path) -> int:
    calls = count()

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
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
