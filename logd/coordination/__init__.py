"""Runs the pure coordinators: which partitions of an internal topic this node leads, their logs, clocks, clients."""
