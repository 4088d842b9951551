"""Catalogues, membership and the diff: everything that happens inside the engine, as SQL."""
