"""The doors: one file for each form a credential may have.  What a credential is picks its door, nothing else (TOK-08).

Each door turns what was shown into an `Entry`: the caller, and the single-use values to be spent last of all.
"""
