-- Least privilege for Fleet GTM on Snowflake: four roles, a service user for each of the three services, a virtual
-- warehouse that stops by itself. Read it, replace the public keys, run it once; a repeat changes nothing but that tables
-- which came since are read, too. Then reader.sql.
--
-- Names: database gtm, warehouse gtm_wh, roles gtm_loader (ingest), gtm_transformer (transform), gtm_scorer (scoring),
-- gtm_reader (sales systems). Rename them with your editor; `gtm doctor --for ingest` and so on compare the result with
-- what the services need (shared/doctor/privileges.py).

use role sysadmin;

-- A minute of idling is the shortest that is billed anyway. Snowflake bills by the second after the first minute.
create warehouse if not exists gtm_wh
    warehouse_size = 'XSMALL'
    auto_suspend = 60
    auto_resume = true
    initially_suspended = true
    comment = 'Fleet GTM: loads, builds, scores';

-- For the few models over all page views and attribution, where GTM_DBT_WAREHOUSE_LARGE names it: it costs nothing while
-- nobody does. MEDIUM is four times X-Small; docs/sizing.md says when it pays.
create warehouse if not exists gtm_large_wh
    warehouse_size = 'MEDIUM'
    auto_suspend = 60
    auto_resume = true
    initially_suspended = true
    comment = 'Fleet GTM: large models of a build';

create database if not exists gtm comment = 'Fleet GTM';
-- A build reads RAW as it was when it began: keep a day of its past (DATA_RETENTION_TIME_IN_DAYS, 1 by default), or more.
create schema if not exists gtm.raw comment = 'What the sources said, unchanged';
create schema if not exists gtm.analytics comment = 'Marts: the single source of truth';
create schema if not exists gtm.analytics_staging comment = 'Data firewall and intermediate models; personal data';
create schema if not exists gtm.analytics_failures comment = 'Rows that tests found; personal data';
create schema if not exists gtm.reverse_etl_outbound comment = 'Scored leads: what sales systems read';

use role securityadmin;

create role if not exists gtm_loader comment = 'Fleet GTM ingest: writes RAW';
create role if not exists gtm_transformer comment = 'Fleet GTM transform: reads RAW, writes ANALYTICS';
create role if not exists gtm_scorer comment = 'Fleet GTM scoring: reads marts, writes REVERSE_ETL_OUTBOUND';
create role if not exists gtm_reader comment = 'Sales systems: read REVERSE_ETL_OUTBOUND';
grant role gtm_loader to role sysadmin;
grant role gtm_transformer to role sysadmin;
grant role gtm_scorer to role sysadmin;
grant role gtm_reader to role sysadmin;

grant usage on warehouse gtm_wh to role gtm_loader;
grant usage on warehouse gtm_wh to role gtm_transformer;
grant usage on warehouse gtm_large_wh to role gtm_transformer;
grant usage on warehouse gtm_wh to role gtm_scorer;
grant usage on warehouse gtm_wh to role gtm_reader;
grant usage on database gtm to role gtm_loader;
grant usage on database gtm to role gtm_transformer;
grant usage on database gtm to role gtm_scorer;
grant usage on database gtm to role gtm_reader;

-- Loader: owns what it creates in RAW. Files come through the stages of its tables.
grant usage, create table, create stage on schema gtm.raw to role gtm_loader;

-- Transformer: reads RAW, keeps one table there (raw.public_suffixes), owns the marts, which each build replaces.
grant usage, create table on schema gtm.raw to role gtm_transformer;
grant select on all tables in schema gtm.raw to role gtm_transformer;
grant select on future tables in schema gtm.raw to role gtm_transformer;
grant usage, create table, create view on schema gtm.analytics to role gtm_transformer;
grant usage, create table, create view on schema gtm.analytics_staging to role gtm_transformer;
grant usage, create table, create view on schema gtm.analytics_failures to role gtm_transformer;

-- Scorer: reads marts, which each build makes anew (hence future), and owns the outbound tables. It needs dim_accounts,
-- fct_account_score_factors and load_accounts. A future grant knows no names: it takes in the whole schema, with the
-- personal data of dim_contacts and of the quarantine. No masking policy stands in between unless you attach one
-- (docs/governance.md); a table that a build replaces loses it.
grant usage on schema gtm.analytics to role gtm_scorer;
grant select on all tables in schema gtm.analytics to role gtm_scorer;
grant select on future tables in schema gtm.analytics to role gtm_scorer;
grant usage, create table on schema gtm.reverse_etl_outbound to role gtm_scorer;

-- Reader: config/snowflake/reader.sql gives it the leads and their history, once these are there.
grant usage on schema gtm.reverse_etl_outbound to role gtm_reader;

use role useradmin;

-- TYPE = SERVICE takes no password. rsa_public_key_2 is for a change of keys: both are accepted meanwhile.
create user if not exists gtm_ingest
    type = service
    default_role = gtm_loader
    default_warehouse = gtm_wh
    rsa_public_key = '<public key of ingest, one line>'
    comment = 'Fleet GTM ingest';
create user if not exists gtm_transform
    type = service
    default_role = gtm_transformer
    default_warehouse = gtm_wh
    rsa_public_key = '<public key of transform, one line>'
    comment = 'Fleet GTM transform';
create user if not exists gtm_scoring
    type = service
    default_role = gtm_scorer
    default_warehouse = gtm_wh
    rsa_public_key = '<public key of scoring, one line>'
    comment = 'Fleet GTM scoring';

-- The services set these for each session; dbt can't, and takes the user's.
alter user gtm_transform set timezone = 'UTC';
alter user gtm_transform set timestamp_type_mapping = 'TIMESTAMP_NTZ';
alter user gtm_transform set timestamp_input_format = 'AUTO';
alter user gtm_transform set date_input_format = 'AUTO';
alter user gtm_transform set statement_timeout_in_seconds = 3600;
alter user gtm_transform set lock_timeout = 900;
alter user gtm_transform set abort_detached_query = true;

use role securityadmin;

grant role gtm_loader to user gtm_ingest;
grant role gtm_transformer to user gtm_transform;
grant role gtm_scorer to user gtm_scoring;

-- A limit on what all of this may cost; only an account administrator may set it. Credits are yours to choose.
-- use role accountadmin;
-- create resource monitor if not exists gtm_monitor with credit_quota = 100 frequency = monthly
--     start_timestamp = immediately
--     triggers on 80 percent do notify on 100 percent do suspend on 110 percent do suspend_immediate;
-- alter warehouse gtm_wh set resource_monitor = gtm_monitor;
-- alter warehouse gtm_large_wh set resource_monitor = gtm_monitor;

-- Who comes from one role that had everything: its tables stay its own, and the three can neither replace nor alter them
-- (`gtm doctor` says so). Once, while no job runs, after the script above:
-- grant ownership on all tables in schema gtm.raw to role gtm_loader copy current grants;
-- grant ownership on table gtm.raw.public_suffixes to role gtm_transformer copy current grants;
-- grant ownership on all tables in schema gtm.analytics to role gtm_transformer copy current grants;
-- grant ownership on all tables in schema gtm.analytics_staging to role gtm_transformer copy current grants;
-- grant ownership on all views in schema gtm.analytics_staging to role gtm_transformer copy current grants;
-- grant ownership on all tables in schema gtm.analytics_failures to role gtm_transformer copy current grants;
-- grant ownership on all tables in schema gtm.reverse_etl_outbound to role gtm_scorer copy current grants;
