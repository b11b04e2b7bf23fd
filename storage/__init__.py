"""One partition's bytes on disk, and the directories that hold many of them.

Knows nothing of peers, groups or in-sync replicas. Everything is synchronous and single-threaded; what must
block (fsync, cold reads, deletion) is handed out as a plan that the caller runs in a thread pool. All file
operations go through the port in `storage.fs`.
"""
