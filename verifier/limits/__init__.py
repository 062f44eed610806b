"""Spendable limits: what a call costs, which accounts it is charged to, and how they are counted."""

from verifier.limits.costs import Cost

__all__ = ["Cost"]
