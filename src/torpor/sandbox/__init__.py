"""What Linux does for the sandbox: one effect per function, by ctypes, with the standard library alone."""
