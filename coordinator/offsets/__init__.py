"""Committed offsets: kept by group, committed, fetched, deleted, expired."""
