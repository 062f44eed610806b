"""Pictures as SVG text: no script, no fonts, read aloud by their title."""
