"""From the parameters of a request to one validated query, without I/O."""
