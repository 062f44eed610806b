"""Proofs: Data Integrity for documents, JOSE for compact tokens."""
