"""Images of scheduler and workers: built once, and in every Region that needs them."""
