"""torpor's guest, as it is mounted inside a sandbox: this file is its package's `__init__.py` there."""
