#!/bin/sh
# The password goes through a file in memory: arguments can be read by every process that sees this one.
set -eu
: "${REDIS_PASSWORD:?set REDIS_PASSWORD}"
umask 077
{ cat /etc/gtm/redis.conf; printf 'requirepass "%s"\n' "$REDIS_PASSWORD"; } >/tmp/redis.conf
exec redis-server /tmp/redis.conf
