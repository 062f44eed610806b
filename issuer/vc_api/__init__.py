"""The VC-API of the issuer: a profile for interoperability, with keys of its own that no trust list names."""
