"""The code that works beside the tree: safe file access, hardened git, and running one command under limits.

It is sent as source to other machines, so it may import the standard library and itself, nothing else, and stays within what Python 3.9
understands.
"""
