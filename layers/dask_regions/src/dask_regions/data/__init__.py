"""Arrays, stores and files that carry their Region, whoever reads them. Imports nothing of placement."""
