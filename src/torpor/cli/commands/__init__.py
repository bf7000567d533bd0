"""The commands, one subject a file; what costs time to import is imported inside them."""
