"""The bridge: an OAuth 2.1 authorization server that turns presentations and consent into access tokens."""

__all__: list[str] = []
