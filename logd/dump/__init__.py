"""Looking into a data directory at rest, ours or Kafka's: `logd dump`.

Nothing here writes. Readers yield rows (plain dictionaries that can go out as JSON), checks yield findings; only
`logd.cli.dump` prints. Memory does not grow with the size of a file: batches and index entries are read piece by piece.
"""
