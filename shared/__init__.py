"""What two services need and nothing else. Imports no service."""
