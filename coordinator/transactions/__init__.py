"""Transactional ids: who may write as one, the transaction under way, and how it ends."""
