"""The database's schema, one step after another; run from inside the package, never by hand."""
