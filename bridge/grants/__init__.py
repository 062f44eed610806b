"""One module per OAuth grant: each decides, from what was shown and what is known, whether there is a token."""

__all__: list[str] = []
