"""Printers: a derivation as a document, as LaTeX, as text and as NumPy source."""
