"""Who leads, who follows, and what the cluster agreed on: partitions, replica sets, metadata.

Pure: state machines that take events and the time, and return what changed. No files, sockets, clocks or tasks.
"""
