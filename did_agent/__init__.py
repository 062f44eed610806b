"""did-agent: verifiable identity for AI agents.  The agent's side is `Agent`; parties are their own packages."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from did_agent.agent import Agent

    __version__: str

__all__ = ["Agent", "__version__"]


def __getattr__(name: str) -> Any:
    # Loaded on demand, so that importing one module of the core does not import the agent's HTTP client.
    if name == "Agent":
        from did_agent.agent import Agent

        return Agent
    if name == "__version__":
        from importlib.metadata import version

        return version("did-agent")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
