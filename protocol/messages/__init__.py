"""Generated message classes, one module per API or kind of record. See `protocol.schema.generate`."""
