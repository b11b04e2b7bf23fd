"""Describing, listing and deleting groups."""
