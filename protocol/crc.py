"""CRC-32C (Castagnoli), the checksum of record batches and of Kafka's snapshot files.

The `crc32c` wheel computes it in hardware. Its package initialiser reads distribution metadata and pulls in
e-mail, zip and command line parsers, 25 ms of the broker's 200 ms start, so the extension module inside is
loaded by itself; where the wheel is laid out otherwise, the package is imported as usual.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from protocol.types import Buffer

_EXTENSION = "crc32c._crc32c"


def _load_extension() -> ModuleType:
    """Return the extension module of the wheel, without running the package around it."""
    loaded = sys.modules.get(_EXTENSION)
    if loaded is not None:
        return loaded
    package = PathFinder.find_spec("crc32c")
    if package is None or package.submodule_search_locations is None:
        raise ImportError("the crc32c package is not installed")
    spec = PathFinder.find_spec(_EXTENSION, package.submodule_search_locations)
    if spec is None or spec.loader is None:
        raise ImportError("the crc32c package has no extension module of the expected name")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[_EXTENSION] = module  # one copy only, should anyone import the package later
    return module


def _find_crc32c() -> Callable[[Buffer, int], int]:
    try:
        function: Callable[[Buffer, int], int] = _load_extension().crc32c
    except (ImportError, AttributeError):
        from crc32c import crc32c as function  # noqa: PLC0415 - the slow way, only when the quick one fails
    return function


crc32c = _find_crc32c()
"""`crc32c(data, value=0)`: the checksum of `data`, going on from `value`."""
