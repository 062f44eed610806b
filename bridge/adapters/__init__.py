"""The bridge's ports made real: SQL, the issuer's registry over HTTP, argon2id."""

__all__: list[str] = []
