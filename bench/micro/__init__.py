"""Parts of the broker alone."""
