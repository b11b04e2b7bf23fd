"""What all services stand on: a transactional consume-process-produce loop with changelogged state."""
