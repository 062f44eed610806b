"""Keys, revocations and the spool, made real over HTTP and SQLite."""
