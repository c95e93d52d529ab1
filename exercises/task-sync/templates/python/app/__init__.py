"""Task Sync."""
