"""Salesforce without the network: its objects, its query language, and its records as RAW rows."""
