"""Far ends that get copies of what is stored: one file per kind, each in a child process (house section 8)."""
