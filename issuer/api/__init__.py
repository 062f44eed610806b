"""The issuer's HTTP surface."""
