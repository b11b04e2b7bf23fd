"""Who leads, who follows, and what the cluster has agreed on. Pure: facts and the present time in, decisions out.

No IO, no clock, no event loop, no logging; what is needed of the log stands in `replication.ports`.
"""
