-- What sales systems may read: two tables, by name. Run it once, when `gtm warehouse init` (or the first scoring) has made
-- them; a repeat changes nothing. They are altered and never replaced, so the grants stay. Refused answers of the model
-- (score_rejects) are for people: untrusted text, which no program should read (docs/contracts.md).
use role securityadmin;

-- An earlier version of roles.sql gave it the whole schema.
revoke select on future tables in schema gtm.reverse_etl_outbound from role gtm_reader;
revoke select on all tables in schema gtm.reverse_etl_outbound from role gtm_reader;

grant select on table gtm.reverse_etl_outbound.lead_scores to role gtm_reader;
grant select on table gtm.reverse_etl_outbound.lead_score_history to role gtm_reader;
