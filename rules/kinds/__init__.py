"""Rule kinds, one file each; `rules.compiled` says what a file must offer."""
