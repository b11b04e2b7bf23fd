"""A load generator on the wire: `logd bench` and bench/ measure brokers with it. No part of a broker loads it.

What is sent is built before the clock starts; one thread and one epoll loop send it over many plain sockets. A run is
put together from batches (batches.py), what a connection asks and makes of its answers (produce.py, fetch.py,
end_to_end.py), when requests are due (pace.py), and the loop (run.py).

Not here: batching, retries, groups, idempotence. A refused request ends a run: a refusal is quicker than the work.
"""
