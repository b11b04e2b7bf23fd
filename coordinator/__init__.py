"""Coordinators as pure state machines over the internal topics.

Nothing here reads a clock, draws randomness, waits or touches a file; `logd` gives it events and performs its effects.
"""
