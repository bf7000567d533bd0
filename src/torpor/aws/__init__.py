"""The AWS protocols, driven by botocore's service models, and one module per service that speaks them."""
