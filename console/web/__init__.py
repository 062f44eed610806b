"""The frame around all pages: who looks, what the browser may do, and how errors read."""
