"""The `did-agent` command line."""
