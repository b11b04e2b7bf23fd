"""Clients of brokers, on asyncio: what the command line and the load generator reach a cluster with, Kafka's included.

The broker uses none of this.
"""
