"""API Gateway, and the HTTP server that parts of the emulator share."""
