"""Runs the demonstration's MCP server alone: `python -m verifier`."""

from did_agent.cli.main import main

if __name__ == "__main__":
    main(["urban-bites"])
