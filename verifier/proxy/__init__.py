"""A guard in front of a server written in any language: as a reverse proxy, or asked by one (`did-agent guard`)."""
