"""Decentralized identifiers: did:key, did:jwk and did:web, their documents, and what a resolver answers."""
