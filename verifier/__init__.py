"""The verifier admits: presentation or token in, one verified caller and one recorded decision out."""
