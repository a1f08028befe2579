"""Being looked after by nobody: the gateway watches itself and the box it runs on (house section 7)."""
