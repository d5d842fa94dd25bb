#!/bin/sh
# Puts the users' passwords, as SHA-256, into a list in memory. Redis never learns the passwords themselves, and neither
# does who looks at this container's environment or arguments.
set -eu
umask 077
secrets=${GTM_REDIS_SECRETS:-/run/secrets}
rules=${GTM_REDIS_RULES:-/etc/gtm}
users=${GTM_REDIS_USERS:-/tmp/users.acl}

digest() { # FILE: its SHA-256, without the line's end that an editor adds
  [ -s "$secrets/$1" ] || { echo "start_redis: $secrets/$1 is missing or empty (docker/make_secrets.sh)" >&2; exit 1; }
  tr -d '\r\n' <"$secrets/$1" | sha256sum | cut -d ' ' -f 1
}
producer=$(digest redis_producer_password)
worker=$(digest redis_worker_password)
sed -e '/^#/d' -e "s/#PRODUCER/#$producer/" -e "s/#WORKER/#$worker/" "$rules/redis_users.acl" >"$users"
exec redis-server "$rules/redis.conf" --aclfile "$users" "$@"
