"""Training a tune: one loop, and of each family what is its own. Heavy: imported through the runner alone."""
