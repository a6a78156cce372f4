"""How displays, tables and figures are fitted to a printed page, whichever typesetter sets them."""
