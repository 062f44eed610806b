"""Decentralized identifiers: did:key and its document."""
