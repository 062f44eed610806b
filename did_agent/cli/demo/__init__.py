"""`did-agent demo`: the whole road on loopback, told step by step, with real HTTP and real signatures."""

from did_agent.cli.demo.run import run

__all__ = ["run"]
