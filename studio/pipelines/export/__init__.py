"""Exports: a tune as files that other programs read, each proven before it is offered."""
