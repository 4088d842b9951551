"""One plan, several readers: text, JSON and their schema; spec problems; the report after an apply. All pure."""
