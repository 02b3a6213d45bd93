"""Adapters to AWS services: boto3 is imported here and nowhere else.

Each adapter takes the Region it works in, because a system spans several.
"""
