"""Frozen values and errors that every other package speaks in. Standard library only, no input or output."""
