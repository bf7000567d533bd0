"""Fakes and builders that torpor's own tests use, shipped for users too."""
