"""Rows of the log in the words of other systems.  None of these proves anything: that is `did_agent.audit.export`.

Each takes rows as the ledger answers them, `{"seq": n, "leaf": "…", "event": {…}}`, and returns text.
"""
