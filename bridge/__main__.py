"""`python -m bridge`: run the bridge alone, where its configured URL says."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from bridge.app import create_app
from bridge.settings import BridgeSettings
from did_agent.adapters.party import listen, server


def main() -> None:
    """Serve until a signal comes."""
    settings = BridgeSettings()
    parts = urlsplit(settings.bridge_url)
    listener = listen(parts.hostname or "127.0.0.1", parts.port or 8400)
    asyncio.run(server(create_app(settings)).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
