"""Ends before it listens."""

raise SystemExit(3)
