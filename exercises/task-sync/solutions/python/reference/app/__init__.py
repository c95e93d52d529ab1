"""Task Sync: a task list that several devices of one user keep in step."""
