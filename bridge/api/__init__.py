"""Routes of the bridge: parse, call a use case, answer; no decisions."""

__all__: list[str] = []
