"""Lambda: layers built for this machine, and handlers run by the real runtime client."""
