"""The flow itself: intake → step → commit → outbox, on one screen in `run`."""
