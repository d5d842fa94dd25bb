"""RAW tables that dbt does not read yet: `_sources.yml` names them, and no base model takes them up."""

# They come with the CRM sources; their staging models are written with the first real records before the eyes.
UNSTAGED = frozenset(
    {
        "hubspot_owners",
        "hubspot_contact_companies",
        "hubspot_properties",
        "salesforce_opportunity_contact_roles",
        "salesforce_events",
        "salesforce_users",
    }
)
