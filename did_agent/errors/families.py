"""The families of refusals: what the caller can do about each."""

from __future__ import annotations

from typing import ClassVar


class DidAgentError(Exception):
    """Root of all errors this project raises on purpose."""

    code: ClassVar[str] = "error"
    public: ClassVar[str] = "The request was refused."

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.public)
        self.detail = detail


class Malformed(DidAgentError):
    """Could not be read: fix the request."""

    code = "malformed"
    public = "The request could not be read."


class VerificationError(DidAgentError):
    """Read, not believed: get a fresh, honest proof."""

    code = "not_verified"
    public = "The proof was not accepted."


class Denied(DidAgentError):
    """Believed, not allowed: ask for a capability or for consent."""

    code = "denied"
    public = "This is not allowed."


class Unavailable(DidAgentError):
    """Could not find out: retry later; meanwhile the answer is no."""

    code = "unavailable"
    public = "A needed answer could not be had; try again."


class Misconfigured(DidAgentError):
    """The process must not start like this."""

    code = "misconfigured"
    public = "The service is not configured correctly."
