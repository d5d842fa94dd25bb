#!/bin/sh
# `docker/make_secrets.sh [--new-owner-password] [FOLDER]`: the secrets of docker-compose.yml, a file each (default:
# ./secrets).
#
# A password that is there is kept; one that was removed is made anew. The addresses with passwords in them are written
# each time. So a rotation is: remove the password's file, run this again, `docker compose up -d --force-recreate`.
#
# Not so `postgres_password`, the owner's: PostgreSQL took it when its volume was made, and reads no file since. It is
# made only for a database that is still to be; docs/operations.md, "Secrets of the stores", says how it is replaced.
set -eu
umask 077
is_replaced=
if [ "${1:-}" = --new-owner-password ]; then is_replaced=yes; shift; fi
folder=${1:-secrets}
mkdir -p "$folder"
chmod 0700 "$folder"

refuse() { # WHY, MEND
  echo "make_secrets: $folder/postgres_password is not there, and $1: PostgreSQL would not know a new one." >&2
  echo "$2" >&2
  exit 1
}
require_new_database() {
  if [ -e "$folder/operations_owner_url" ]; then
    refuse "$folder/operations_owner_url holds one that was made before" \
      "Write that one into the file, or replace it by --new-owner-password as docs/operations.md says."
  fi
  kept="Write the password that it was made with into the file (of an earlier release: POSTGRES_PASSWORD of .env), then"
  kept="$kept run this again: docs/operations.md, \"From a release with GTM_API_TOKEN\"."
  if grep -qs '^ *POSTGRES_PASSWORD=' "$folder/../.env"; then
    refuse "the .env beside $folder has the one of an earlier release" "$kept"
  fi
  root=$(cd "$(dirname "$0")/.." && pwd)
  project=${COMPOSE_PROJECT_NAME:-$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' "$root/.env" 2>/dev/null | tail -n 1)}
  volume=$(printf %s "${project:-$(basename "$root")}" | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9_-')_postgres
  if command -v docker >/dev/null && docker volume inspect "$volume" >/dev/null 2>&1; then
    refuse "the volume $volume holds a database" "$kept"
  fi
}
write() { # NAME, content from stdin. Never half a file, and readable by the containers' users: the folder is what guards.
  cat >"$folder/.$1"
  chmod 0444 "$folder/.$1"
  mv -f "$folder/.$1" "$folder/$1"
}
password() { # NAME: hexadecimal, since it becomes part of addresses
  if [ -s "$folder/$1" ]; then return 0; fi
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' | write "$1"
  echo "made $folder/$1"
}
if [ ! -s "$folder/postgres_password" ] && [ -z "$is_replaced" ]; then require_new_database; fi
for name in postgres_password postgres_service_password redis_producer_password redis_worker_password; do
  password "$name"
done
value() { tr -d '\r\n' <"$folder/$1"; }
for name in postgres_password postgres_service_password redis_producer_password redis_worker_password; do
  case $(value "$name") in
    *[!A-Za-z0-9._~-]*) echo "$folder/$name: letters, digits and ._~- only, since it becomes part of an address" >&2; exit 1 ;;
  esac
done
printf 'postgresql+psycopg://gtm:%s@postgres:5432/gtm' "$(value postgres_password)" | write operations_owner_url
printf 'postgresql+psycopg://gtm_service:%s@postgres:5432/gtm' "$(value postgres_service_password)" | write operations_url
printf 'redis://producer:%s@redis:6379/0' "$(value redis_producer_password)" | write redis_producer_url
printf 'redis://worker:%s@redis:6379/0' "$(value redis_worker_password)" | write redis_worker_url
