"""HubSpot's records as RAW takes them; no I/O."""
