"""What `make gpu` does: every test that needs a GPU and the benchmark on one, from wheels in a folder where need be.

It runs before anything is installed, so that nothing here imports more than Python's own library.
"""
