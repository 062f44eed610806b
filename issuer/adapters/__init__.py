"""The issuer's store in SQL, and the way its news takes to the bridge."""
