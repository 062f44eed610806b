"""Clients of the parties, over HTTP."""
