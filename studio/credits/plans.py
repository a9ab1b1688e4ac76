"""The plans an account may be on."""

HOUSE = "house"
"""The owner's plan: every charge is recorded, and what is missing for it is granted as it is held."""
