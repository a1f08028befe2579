"""`python -m gateway.uplink`: the process of one sink, started by the daemon and by nobody else."""

from __future__ import annotations

from gateway.uplink.child import main

if __name__ == "__main__":
    main()
