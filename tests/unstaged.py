"""RAW tables that dbt does not read: `_sources.yml` names them, and no base model takes them up."""

# What HubSpot says of its own fields, not of any company, person or deal: there is no record in it to clean, to
# quarantine or to count, and a label that nobody can read must not stop a build. It is there for who reads `extra`.
UNSTAGED = frozenset({"hubspot_properties"})
