"""Verifiable credentials of agents: who an agent is, what it may do, and whether that still holds."""

__all__: list[str] = []
