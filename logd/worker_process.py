"""A worker process as the broker sees it: started, given a job, listened to, and ended whatever happens.

See worker.py for what goes over its pipes. Nothing is inherited but standard error.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from logd.worker import FRAME_BYTES_MAX, pack_frame


class WorkerDied(Exception):
    """A worker ended before it had said how its work came out."""


class Worker:
    """One worker of kind `kind` with its job."""

    def __init__(self, kind: str, job: dict[str, Any]) -> None:
        self._kind = kind
        self._job = job
        self._process: asyncio.subprocess.Process | None = None

    def kill(self) -> None:
        """End the process at once; `messages` then says that it died."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def messages(self) -> AsyncGenerator[dict[str, Any], None]:
        """Start it, and yield its messages as they come. Closing this ends the process.

        Raises: WorkerDied.
        """
        entry = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, entry, "_worker", self._kind, stdin=PIPE, stdout=PIPE
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            with suppress(ConnectionError):  # then there is no answer either
                process.stdin.write(pack_frame(self._job))
                await process.stdin.drain()
            while True:
                yield await _read_message(process.stdout)
        except asyncio.IncompleteReadError:
            code = await process.wait()
            if code:
                raise WorkerDied(f"the worker ended with code {code}") from None
        finally:
            self.kill()
            await process.wait()
            process.stdin.close()


async def _read_message(source: asyncio.StreamReader) -> dict[str, Any]:
    size = int.from_bytes(await source.readexactly(4), "big")
    if size > FRAME_BYTES_MAX:
        raise WorkerDied(f"the worker announced a message of {size} bytes")
    message: dict[str, Any] = json.loads(await source.readexactly(size))
    return message
