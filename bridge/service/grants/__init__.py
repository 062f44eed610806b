"""One module per OAuth grant: what it loads before `bridge.grants` judges."""

__all__: list[str] = []
