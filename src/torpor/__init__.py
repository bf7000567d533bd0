"""torpor: serverless functions and models on your own machine, asleep until called."""

__version__ = "0.1.0"
