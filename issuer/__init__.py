"""The issuer grants: who is an agent, what it may carry, and what has ended."""
