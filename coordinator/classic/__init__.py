"""Classic groups: the members' leader assigns, the coordinator only gathers and hands out (KIP-62 to KIP-394)."""
