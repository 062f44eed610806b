"""Policy: who calls, what may be granted, what may be done, each with its explanation."""
