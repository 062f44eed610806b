"""Runs the ledger alone: `python -m ledger`."""

from did_agent.cli.main import main

if __name__ == "__main__":
    main(["ledger"])
