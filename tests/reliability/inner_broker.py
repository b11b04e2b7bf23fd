"""A broker on a thread of the test's own process: real sockets, disk and pool, and its inside within reach."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType

from logd.broker import Broker
from logd.config import load_config
from storage.fs.real import RealFileSystem

_START_S = 90


class InnerBroker:
    """A context manager: runs from entry to exit, and stops in an orderly way."""

    def __init__(self, data_dir: Path, properties: Sequence[str] = ()) -> None:
        self._settings = [f"log.dirs={data_dir}", "listeners=PLAINTEXT://127.0.0.1:0", *properties]
        self._ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name="inner-broker", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._broker: Broker | None = None
        self.address = ("127.0.0.1", 0)

    def stop_soon(self) -> None:
        """What SIGTERM does."""
        assert self._broker is not None
        self._loop.call_soon_threadsafe(self._broker.stopped.set)

    def __enter__(self) -> InnerBroker:
        self._thread.start()
        self.address = ("127.0.0.1", self._ready.result(_START_S))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.stop_soon()
        self._thread.join(_START_S)
        assert not self._thread.is_alive(), "the broker does not stop"

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        try:
            config = load_config(self._settings, environment={})
            self._broker = Broker(config, self._loop, RealFileSystem())
            [(_, _, port)] = await self._broker.start()
        except BaseException as error:
            self._ready.set_exception(error)
            raise
        self._ready.set_result(port)
        await self._broker.stopped.wait()
        await self._broker.stop()
