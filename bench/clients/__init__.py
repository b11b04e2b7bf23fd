"""What loads a target where neither logd/load nor a library does, some of it in processes of its own."""
