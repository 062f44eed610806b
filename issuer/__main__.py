"""Runs the issuer alone: `python -m issuer`."""

from did_agent.cli.main import main

if __name__ == "__main__":
    main(["issuer"])
