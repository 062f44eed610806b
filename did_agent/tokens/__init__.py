"""Tokens: access tokens with their actor chain, client assertions, security events."""
