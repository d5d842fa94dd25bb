"""A vendor of fleet-management software, its market and its CRMs, generated (docs/mock-source.md)."""
