"""Root causes: what the parsed evidence points at. Pure functions, used by the rules."""
