"""Starts the service."""

from app import greeter

greeter.main()
