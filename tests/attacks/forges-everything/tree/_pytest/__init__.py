"""Takes the place of the test runner."""
