"""A document as LaTeX."""
