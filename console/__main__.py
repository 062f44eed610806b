"""Runs the console alone: `python -m console`."""

from did_agent.cli.main import main

if __name__ == "__main__":
    main(["console"])
