"""The demo: a shop with real purchases and invented identifiers."""
