"""The command line: a client of the server's public HTTP interfaces, and nothing more."""
