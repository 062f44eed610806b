"""The ledger records: every decision of every party, in one Merkle log with signed checkpoints."""
