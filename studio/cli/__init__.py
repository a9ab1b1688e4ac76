"""`python -m studio COMMAND`: one module for each group of commands, and what they share."""
