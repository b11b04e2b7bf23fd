"""Building the wheel from this checkout, and starting logd from one that was only unpacked."""

from __future__ import annotations

import sys
import sysconfig
import zipfile
from pathlib import Path

from tests.support.broker import ROOT
from tests.support.toolchain import missing_tools, run_checked


def missing_compiler() -> str | None:
    """Why a compiled wheel cannot be made here; None when it can."""
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "not found: Python.h, of Python's development files"
    return missing_tools("cc")


def build_wheel(directory: Path, *, compiled: bool = False) -> Path:
    """Make the wheel in an empty directory; `compiled`: with the modules that hatch_build.py compiles."""
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(directory),
        str(ROOT),
    ]
    run_checked(
        command, timeout=300, directory=directory, environment={"LOGD_MYPYC": "1" if compiled else ""}
    )
    [built] = directory.glob("logd-*.whl")
    return built


def unpacked_command(wheel: Path, directory: Path) -> list[str]:
    """Unpack the wheel into `directory`; return what starts logd from there, on the libraries installed here.

    The directory goes before an editable install, for the broker's worker processes, too.
    """
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return [
        "/usr/bin/env",
        f"PYTHONPATH={directory}",
        sys.executable,
        str(directory / "logd" / "__main__.py"),
    ]
