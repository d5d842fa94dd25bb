"""`gtm`: a thin client of the REST API. Imports no service and opens no database."""
