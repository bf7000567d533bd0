"""The channel between server and guest: bytes in, messages out. Standard library only, no input or output."""
