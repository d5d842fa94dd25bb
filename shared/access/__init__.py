"""Who may call, and who did what: API keys with scopes, and the audit log (docs/security.md)."""
