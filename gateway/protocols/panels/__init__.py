"""Dialects of fire panels' serial outputs, one file each; `gateway.protocols.panel_words` says what a dialect has."""
