"""What the services decide, without knowing where events come from or where state is kept."""
