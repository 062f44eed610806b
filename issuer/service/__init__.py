"""The issuer's use cases: each loads, judges, saves and records in one transaction."""
