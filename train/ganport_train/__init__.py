"""ganport's training part: images to networks. Importing it is quick: PyTorch comes with the modules that use it."""
