"""The metadata of the node: records in a log of its own, made durable and replayed, and the files beside that log.

Pure, and elsewhere: what is decided (`replication/controller.py`) and the image (`replication/metadata_image.py`).
"""
