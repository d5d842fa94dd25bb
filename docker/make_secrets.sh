#!/bin/sh
# `docker/make_secrets.sh [FOLDER]`: the secrets of docker-compose.yml, a file each (default: ./secrets).
#
# A password that is there is kept; one that was removed is made anew. The addresses with passwords in them are written
# each time. So a rotation is: remove the password's file, run this again, `docker compose up -d --force-recreate`.
set -eu
umask 077
folder=${1:-secrets}
mkdir -p "$folder"
chmod 0700 "$folder"

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
