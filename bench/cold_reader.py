"""A consumer that reads partition 0 of a topic from offset 0 to its end: the load of scenario S16, in its own process.

    python -m bench.cold_reader BOOTSTRAP TOPIC

Fetches of 1 MB, one at a time. Prints the bytes it has read, and ends.
"""

from __future__ import annotations

import sys

from bench.wire import FETCH_VERSION, Connection, end_offset, fetch_request, next_offset


def main(bootstrap: str, topic: str) -> None:
    connection = Connection(bootstrap)
    offset, end = 0, end_offset(connection, topic)
    read = 0
    while offset < end:
        response = connection.call(fetch_request(topic, offset), FETCH_VERSION)
        records = response.responses[0].partitions[0].records
        offset = next_offset(records)
        read += len(records)
    print(read)


if __name__ == "__main__":
    main(*sys.argv[1:])
