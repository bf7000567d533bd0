"""Modules that Lambda's runtimes bring under their published names, for functions that do not bring them themselves."""
