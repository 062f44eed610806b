"""Use cases of the bridge: load, judge, and save with the audit event in one transaction."""

__all__: list[str] = []
