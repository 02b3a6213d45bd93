"""How a system is deployed: the parameters of its stacks, and the commands that make and remove them."""
