"""What docs/BENCHMARKS.md says in words of its own: before its figures, and after them."""

from __future__ import annotations

HEAD = """# Benchmarks

logd beside Apache Kafka 4.3.1 on one machine, taken with `bench/` (its README says how to repeat and read this).
This page is written by `python -m bench report`.

- Every figure is the median of the rounds with its range in brackets. A round measures all targets one after the
  other, in changing order; at least one round before is thrown away. Ratios are taken within a round. A difference
  inside the ranges is not a difference: it is marked "none:" where two targets are compared, and "inside the spread"
  where a goal's line lies within the range.
- Only complete runs are here: full size, five rounds or more, all targets that are compared, code of a commit, little
  other work on the machine. What stands here all the same says below its figures what it lacks.
- Kafka runs in KRaft mode with the JVM flags of its own scripts (1 GB heap, G1) and otherwise with its defaults, but
  that groups do not wait for members and offsets have four partitions; logd with its defaults: neither waits for
  fsync. What each promises stands below its figures. S1 to S4, S6L, S12, consumer-perf and e2e-latency are loaded by
  Kafka's own performance tools, S10 and confluent-kafka by that client, S17 over HTTP, the others by logd/load or a raw
  client: the same settings for all targets.
- **What logd does less.** By default it checks the header and the checksum of a batch and not every record in it;
  Kafka iterates the records. `log.record.validation=full` does as Kafka: that is the target "logd-full"; see
  [gaps](gaps.md).
- **What one node can do.** A logd node uses one core for its loop, Kafka spreads over many. Most figures are per CPU;
  on a machine with many cores one Kafka broker takes more load than one logd node.
- "null" answers and stores nothing: what the client can do at most. "floor" receives, checks CRC-32C, writes and
  answers (for consuming: sends a file with sendfile), and does nothing else.
"""

CEILING = """
### What one node can do

A logd node serves from one core; Kafka spreads over all there are. So these are the ceilings of one logd node, from the
CPU that a gigabyte or a request costs it, and beside them what a core gives the others. A Kafka broker multiplies its
column by at most the cores that it may use; to go beyond one core with logd takes several nodes, and partitions spread
over them.
"""

CHARTS = """
## By target

![the first figure of every scenario, by target](benchmarks-targets.svg)
"""

LATENCIES = """
## Latency by percentile

![latency by percentile](benchmarks-latency.svg)

At a fixed rate (paced, fan-out-1, fan-out-5, catch-up) latency counts from when a request was due, so a stall counts
for everyone who would have come meanwhile. The others saturate: theirs is the latency of a full queue.
"""

PROFILE = """
## Where the time of a produce request goes

![flame graph of the broker while it takes batches of 15 records of 1 KB](produce-flame.svg)

`logd bench produce` against a broker on the same machine, `py-spy record -p PID -d 8 -r 300` (py-spy 0.4.3) on
the broker; one run, 2026-11-30, with other work on the machine: the shares count, the rate does not. Of the samples:

| share | what |
|---|---|
| 19 % | writing to the file (`pwrite`) |
| 15 % | sending the answer |
| 4 % | receiving |
| 3 % | CRC-32C |
| 19 % | the event loop itself, waiting for the kernel included |
| 34 % | Python: framing, dispatch, checks, the log's and its indexes' bookkeeping |
| 6 % | pool threads, waiting |

A third is Python, so that is the most that compiling could save; the system calls are one each of receive, write and
send each time a connection is looked at, as in the floor loop.
"""

TRIED = """
## Tried, and not kept

Side by side on one machine, medians and ranges; none of it left the spread.

| what | before | with it |
|---|---|---|
| `socket.send.buffer.bytes=-1`, the system's choice: S6, s/GB, n = 21 | 0.214 [0.162–0.323] | 0.179 [0.153–0.291] |
| the same: p50 of a produce beside four consumers without pause, µs, n = 8 | 368 [339–529] | 829 [235–1,651] |
| the same: p99, µs, n = 8 | 1,490 [1,005–5,704] | 3,736 [2,894–10,614] |
| `socket.send.buffer.bytes=655360`: S6, s/GB, n = 21 | 0.214 [0.162–0.323] | 0.193 [0.129–0.236] |
| the same: p50 of a produce beside four consumers, µs, n = 7 | 173 [99–371] | 374 [192–918] |
| -1, at most 256 KB of it in a turn: S6, s/GB, n = 19 | 0.218 [0.169–0.265] | 0.226 [0.177–0.291] |
| the same, 512 KB: S6, s/GB, n = 19 | 0.218 [0.169–0.265] | 0.215 [0.156–0.260] |
| libuv without io_uring: S6, s/GB, n = 25 | 0.21 [0.18–0.30] | 0.19 [0.18–0.32] |
| 18 modules of produce compiled, each for itself: µs of CPU for 16 KB, n = 11 | 29.0 [26.8–38.7] | 29.2 [26.3–38.8] |

A larger send buffer halves the system calls of a fetch of 1 MB (15.2 to 7.2, of them 4.2 and 1.0 sendfile) and saves
about a seventh of its CPU; the loop is then busy for a megabyte at a time, and a producer beside such consumers waits
twice as long. Kafka's default, 102400, stays ours; who only reads in bulk sets -1. What S6 costs above the floor is
not in the kernel: 0.126 s/GB of system time where the floor has 0.113, and 0.10 of user time where it has 0.02 (n = 15,
both with the system's buffers): Python, about 100 µs for each answer, in caches that a megabyte has just gone through.

The path of Produce and Fetch compiled as one: storage, replication and protocol alone gain nothing; with the
connection, the dispatcher and the handlers it is about a sixth of a request, and asks more than it gives
([figures](adr/20261130-compiled-modules.md)).

Kept without a claim: after a send that was cut short the socket is full, and is not asked again at once (S6 0.25
[0.19–0.29] before, 0.21 [0.19–0.30] with it; one system call and one exception less each time).
"""
