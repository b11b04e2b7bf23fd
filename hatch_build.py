"""Builds the wheel: pure as it is, or with the modules of compaction compiled by mypyc.

    python -m build --wheel                    one wheel for every platform
    LOGD_MYPYC=1 python -m build --wheel       one for this Python and platform; takes a C compiler

The compiled modules lie beside their sources and go before them when they are imported; where they are missing, the
sources do the same work (docs/adr/20261130-compiled-modules.md). An editable install never has any: it would go on
running what was compiled when somebody has changed the source.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilderConfig

_PACKAGES: Final = ("protocol", "storage")
_COMPILED: Final = (
    "protocol/record_keys.py",
    "protocol/record_walk.py",
    "storage/batch_scan.py",
    "storage/cleaning/batch_retention.py",
    "storage/cleaning/cleaned_segment.py",
    "storage/cleaning/cleaner.py",
    "storage/cleaning/marking.py",
    "storage/cleaning/source.py",
    "storage/cleaning/transactions.py",
    "storage/offset_map.py",
)
"""What compaction does for each record and each batch. Together they take a third of the time to compile that each for
itself would, at the price of one module more beside the packages, which they share.
"""


class CompilingHook(BuildHookInterface[WheelBuilderConfig]):
    """Hatchling finds it by being the only one here."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs besides hatchling."""
        return ["mypy>=1.14", "setuptools", "mmh3>=5.1"] if _is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the compiled modules to a wheel."""
        if version == "editable" or not _is_wanted():
            return
        self._built = tempfile.TemporaryDirectory(prefix="logd-mypyc-")
        try:
            binaries = _compile_all(Path(self.root), Path(self._built.name))
        except BaseException:
            self._built.cleanup()
            raise
        for binary in binaries:
            name = binary.relative_to(self._built.name).as_posix()
            build_data["force_include"][str(binary)] = f"logd/_lib/{name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Removes what was made on the way."""
        if version != "editable" and _is_wanted():
            self._built.cleanup()


def _is_wanted() -> bool:
    return os.environ.get("LOGD_MYPYC") == "1"


def _compile_all(root: Path, directory: Path) -> list[Path]:
    """The compiled modules, in a copy of their packages in `directory`.

    Raises: RuntimeError with what the compiler said.
    """
    for package in _PACKAGES:
        shutil.copytree(root / package, directory / package, ignore=shutil.ignore_patterns("*.so"))
    command = [sys.executable, "-m", "mypyc", "--strict", *_COMPILED]
    environment = os.environ | {"MYPYC_DEBUG_LEVEL": "0"}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the modules could not be compiled:\n{done.stdout}{done.stderr}")
    compiled = [each for package in _PACKAGES for each in (directory / package).rglob("*.so")]
    return sorted([*directory.glob("*.so"), *compiled])
