"""`logd` with its work counted, request by request.

    python -m tests.support.counted_broker FILE serve …

Takes the arguments of `logd`. When it ends in an orderly way, FILE holds a line for each request that came to the
dispatcher, in their order: the functions that were called on the main thread until then, those of C included, and the
memory blocks that were then allocated. What lies between two lines is one request's work, with whatever a broker does
by the clock meanwhile.
"""

from __future__ import annotations

import sys
from array import array
from itertools import count
from pathlib import Path
from types import FrameType

from logd.__main__ import main
from logd.dispatch import Dispatcher

REQUEST = Dispatcher.dispatch.__code__


def counted_main(result: Path) -> int:
    calls = count()
    calls_until, blocks_then = array("q"), array("q")  # which make no objects of what is kept in them

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "c_call":
            next(calls)
        elif event == "call":
            called = next(calls)
            if frame.f_code is REQUEST:
                calls_until.append(called)
                blocks_then.append(sys.getallocatedblocks())

    sys.setprofile(note)
    try:
        return main()
    finally:
        sys.setprofile(None)
        lines = zip(calls_until, blocks_then, strict=True)
        result.write_text("".join(f"{called} {blocks}\n" for called, blocks in lines))


if __name__ == "__main__":
    where = Path(sys.argv.pop(1))
    sys.exit(counted_main(where))
