#!/bin/sh
# Print a Python that can make the environment: the one named, else the first that is 3.11 to 3.13 and has venv,
# else any later one. Fails with one line that says what to install.
set -eu

usable() { # COMMAND FIRST_MINOR LAST_MINOR
    "$1" -c "
import sys
ok = sys.implementation.name == 'cpython' and (3, $2) <= sys.version_info[:2] <= (3, $3)
import ensurepip, venv
sys.exit(not ok)" >/dev/null 2>&1
}

named=${1:-}
if [ -n "$named" ]; then
    if usable "$named" 11 99; then echo "$named"; exit 0; fi
    echo "$named is not a CPython from 3.11 on with the venv module" >&2
    exit 1
fi
for last in 13 99; do
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if usable "$candidate" 11 "$last"; then echo "$candidate"; exit 0; fi
    done
done
echo "no CPython from 3.11 on with the venv module found; install one (Debian: apt install python3 python3-venv)" \
     "or name it: make setup PYTHON=/path/to/python" >&2
exit 1
