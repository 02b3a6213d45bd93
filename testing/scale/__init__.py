"""Functions of the scale journey, and a scheduler that answers them."""
