"""Requests, responses and routes of an HTTP API behind API Gateway (payload format 2.0), for every API."""
