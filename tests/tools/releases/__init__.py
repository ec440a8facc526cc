"""Packaged releases: what is made of them, and what is refused."""
