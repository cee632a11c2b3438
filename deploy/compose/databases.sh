#!/bin/sh
# A database, and a role that owns it, for each program that keeps records in Postgres. Postgres's image runs this once, on an
# empty folder; it may run again: what is there stays as it is.
set -eu
make_database() {
  psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set name="$1" --set password="$2" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
select format('create role %I login password %L', :'name', :'password')
  where not exists (select from pg_roles where rolname = :'name') \gexec
select format('create database %I owner %I', :'name', :'name')
  where not exists (select from pg_database where datname = :'name') \gexec
select format('revoke all on database %I from public', :'name') \gexec
SQL
}
make_database lakefs "$LAKEFS_PG_PASSWORD"
make_database mlflow "$MLFLOW_PG_PASSWORD"
make_database dagster "$DAGSTER_PG_PASSWORD"
