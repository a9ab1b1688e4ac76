"""Likeness: a studio for AI avatars on one's own machine."""

__version__ = "0.1.0"
