"""`make demo-log`."""
