"""Presentations: credentials shown with proof of who holds them, to one audience, once."""

__all__: list[str] = []
