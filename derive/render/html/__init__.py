"""A document as one page of HTML with MathML and SVG."""
