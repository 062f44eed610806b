"""Bytes and text: base64url, multibase, strict JSON, JCS and digests, each in its one canonical form."""
