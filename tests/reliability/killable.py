"""A broker that is killed and comes back where it was: same data, same port, as a supervisor would have it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.broker import LogdBroker, clean_environment


class KillableBroker(LogdBroker):
    """Listens on a port that stays the same over restarts."""

    def __init__(self, directory: Path, port: int, properties: Mapping[str, str] | None = None) -> None:
        super().__init__(directory, properties=properties, arguments=("--port", str(port)))

    def start_and_kill(self, after_s: float) -> None:
        """Start the broker and kill it `after_s` seconds later, ready or not."""
        with self.log_path.open("ab") as output:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._working_directory,
                env=clean_environment(),
            )
        time.sleep(after_s)
        process.kill()
        process.wait()
