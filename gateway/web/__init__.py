"""The live page: what the station sees and does, in a browser; served by the daemon (house section 8)."""
