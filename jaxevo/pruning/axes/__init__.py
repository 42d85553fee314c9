"""Which axes of a network can only be cut together, found from its equations, and what a cut network costs."""
