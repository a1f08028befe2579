"""Nouns of the house: immutable values that every layer understands. Nothing here waits, opens or reads a clock."""
