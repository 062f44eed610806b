"""Keys that sign: Ed25519, P-256 and P-384, as raw bytes, Multikey, JWK and PEM."""
