"""What placement costs the scheduler: time of ``update_graph``, event loop, memory."""
