"""AWS Lambda, as torpor offers it."""

from torpor.aws.lambda_.service import lambda_service

__all__ = ["lambda_service"]
