"""Whole applications: AWS SAM and CloudFormation templates, planned and applied over the server's public interfaces."""
