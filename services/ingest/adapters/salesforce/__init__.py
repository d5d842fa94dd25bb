"""The `salesforce` source (docs/adr/0009-salesforce-client.md)."""
