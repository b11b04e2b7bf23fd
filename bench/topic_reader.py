"""A consumer that reads partition 0 of a topic from its start to its end: load of S16 and catch-up, in its own process.

    python -m bench.topic_reader BOOTSTRAP TOPIC [PASSES]

Fetches of 1 MB, one at a time; the end is where it was at the start. Prints the bytes that it has read, and ends.
"""

from __future__ import annotations

import sys

from bench.wire import FETCH_VERSION, Connection, end_offset, fetch_request, next_offset


def main(bootstrap: str, topic: str, passes: str = "1") -> None:
    connection = Connection(bootstrap)
    end = end_offset(connection, topic)
    print(sum(_read(connection, topic, end) for _ in range(int(passes))))


def _read(connection: Connection, topic: str, end: int) -> int:
    offset = read = 0
    while offset < end:
        response = connection.call(fetch_request(topic, offset), FETCH_VERSION)
        records = response.responses[0].partitions[0].records
        offset = next_offset(records)
        read += len(records)
    return read


if __name__ == "__main__":
    main(*sys.argv[1:])
