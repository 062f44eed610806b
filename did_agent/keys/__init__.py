"""Ed25519 keys, as raw bytes, JWK and PEM."""
