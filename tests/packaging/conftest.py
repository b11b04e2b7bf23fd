"""The wheel, and environments that it or the checkout is installed in. Made once for all tests of a session."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import pytest

from tests.support.broker import ROOT, clean_environment
from tests.support.wheel import build_wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of an environment with the wheel and a foreign package called storage."""
    directory = tmp_path_factory.mktemp("installed")
    binaries = _make_environment(directory, str(wheel))
    _add_foreign_packages(directory)
    return binaries


@pytest.fixture(scope="session")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `installed`, with the checkout instead of the wheel."""
    directory = tmp_path_factory.mktemp("editable")
    binaries = _make_environment(directory, "--editable", str(ROOT))
    _add_foreign_packages(directory)
    return binaries


@pytest.fixture
def hostile_directory(tmp_path: Path) -> Path:
    """A working directory with modules named like ours, and like what we import."""
    directory = tmp_path / "work"
    directory.mkdir()
    for name in ("storage", "protocol", "replication", "crc32c", "selectors"):
        (directory / f"{name}.py").write_text(
            "raise SystemExit('a module of the working directory was imported')\n"
        )
    return directory


def _make_environment(directory: Path, *what: str) -> Path:
    venv.create(directory, with_pip=True, symlinks=True)
    binaries = directory / "bin"
    _run([str(binaries / "python"), "-m", "pip", "install", "--quiet", *what], directory)
    return binaries


def _add_foreign_packages(directory: Path) -> None:
    [site_packages] = directory.glob("lib/python*/site-packages")
    for name in ("storage", "protocol"):
        (site_packages / name).mkdir()
        (site_packages / name / "__init__.py").write_text("FOREIGN = True\n")


def _run(command: list[str], directory: Path) -> None:
    environment = clean_environment() | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(name, None)
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
