"""The agent's wallet: its key and its credentials, on its own machine."""

from did_agent.wallet.folder import Wallet

__all__ = ["Wallet"]
