"""The demand of pools, published and answered over HTTP, and the retirement of their workers."""
