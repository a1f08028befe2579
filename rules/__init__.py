"""Rules: what readings and events mean. Pure: arrays in, changes of conditions out (house sections 3 and 6)."""
