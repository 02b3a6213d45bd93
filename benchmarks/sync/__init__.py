"""What a sync asks of S3, and what it needs of memory."""
