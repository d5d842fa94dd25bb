"""Is everything there that the product leans on? `gtm doctor`, and `python -m shared.doctor` in a container."""
