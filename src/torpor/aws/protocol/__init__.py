"""The AWS wire protocols, generic over services: route, parse, validate, serialize, all from botocore's models."""
