"""A document as Typst."""
