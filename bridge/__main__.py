"""Runs the bridge alone: `python -m bridge`."""

from did_agent.cli.main import main

if __name__ == "__main__":
    main(["bridge"])
