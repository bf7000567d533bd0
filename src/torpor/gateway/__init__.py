"""The HTTP edge: who may come in, where a request goes, and how a function answers the web."""
