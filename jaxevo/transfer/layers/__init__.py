"""A network as transfer sees it: blocks of layers, each a kernel with the parameters that go with it."""
