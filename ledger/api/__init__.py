"""The ledger's HTTP surface."""
