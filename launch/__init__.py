"""What start.py is made of: finds a Python, makes .venv, keeps it whole. Standard library of Python 3.8 only."""
