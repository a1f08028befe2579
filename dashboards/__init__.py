"""Grafana dashboards, written by `dashboards.generate` from the gateway's own model; no part of the daemon."""
