"""Entry of the command line: `logd` and `python -m logd`.

The broker's other packages (protocol, storage, replication) have names that users have too, so the wheel ships them as
private modules under logd/_lib/. Only this module makes them importable, at the front of sys.path; `import logd` in a
user's process changes nothing. In a checkout or an editable install there is no _lib and the checkout's root stands in
for it. The working directory, which `python -m` puts first, is taken off the path: a storage.py there is not ours.
"""

from __future__ import annotations

import os
import sys
import time

# When the process began: the interpreter's own start is in the processor time used so far.
_STARTED = time.perf_counter() - time.process_time()


def main() -> int:
    refusal = _refusal()
    if refusal:
        sys.stderr.write(f"logd: {refusal}\n")
        return 2
    _make_packages_importable()
    if sys.argv[1:2] == ["_worker"]:
        from logd.worker import main as work  # noqa: PLC0415 - after sys.path is set

        return work(sys.argv[2:])
    try:
        from logd.cli import run  # noqa: PLC0415 - after sys.path is set

        return run(sys.argv[1:], started=_STARTED)
    except KeyboardInterrupt:  # while modules were still being loaded
        return 130


def _refusal() -> str:
    if sys.platform == "win32":
        return "Windows is not supported; run it in WSL or a container"
    if sys.flags.optimize:
        return "python -O drops the checks that protect your data; start without -O and PYTHONOPTIMIZE"
    return ""


def _make_packages_importable() -> None:
    package = os.path.dirname(os.path.abspath(__file__))
    private = os.path.join(package, "_lib")
    home = private if os.path.isdir(private) else os.path.dirname(package)
    inherited = sys.path
    if not sys.flags.safe_path and inherited and (not inherited[0] or os.path.isdir(inherited[0])):
        inherited = inherited[1:]  # the working directory under -m, the script's directory otherwise
    sys.path[:] = [home, *(entry for entry in inherited if entry != home)]


if __name__ == "__main__":
    sys.exit(main())
