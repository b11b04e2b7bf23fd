"""Runs the pure coordinators: which partitions of an internal topic this node leads, their logs, clocks, clients.

`groups.py` and `transactions.py` are the two of them; `host.py` is what runs either. Partitions and the coordinator of
transactions talk through `transaction_inquiry.py` and `markers.py`.
"""
