"""The `hubspot` source: what docs/hubspot-source.md describes."""
