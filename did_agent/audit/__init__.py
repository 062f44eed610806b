"""Audit: the event, the Merkle log, signed checkpoints, and their verification offline."""
