"""Ports made real: files, HTTP, databases and servers.  `sql`, `outbox`, `web` need `did-agent[server]`."""
