"""Copies to far ends: a process for each sink, the daemon's side of it, and the order in which things leave."""
