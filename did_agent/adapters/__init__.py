"""Ports made real: files, HTTP, databases and servers.  Modules named `sql`, `outbox`, `web` need `did-agent[server]`."""
