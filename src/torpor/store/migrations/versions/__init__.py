"""One file for each revision of the schema. A published one never changes."""
