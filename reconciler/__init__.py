"""batchctl: keeps the audiences and user attributes of a Batch account equal to what Git says they should be."""

__version__ = "0.1.0"
