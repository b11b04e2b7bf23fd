"""Fetches and builds what the tests with clients of other languages need: `python -m tests.support.prepare`.

Run before the tests, so that no test waits for a download.
"""

from __future__ import annotations

from tests.support import go, java, nodejs, quix


def main() -> None:
    java.prepare()
    go.prepare()
    nodejs.prepare()
    quix.prepare()


if __name__ == "__main__":
    main()
