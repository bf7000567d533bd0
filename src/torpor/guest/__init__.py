"""What runs inside the sandbox, on the function's own interpreter: standard library and `wire` only."""
