#!/bin/sh
# wait.sh HOST PORT SECONDS [--] [COMMAND …]: waits until the port takes connections, and SECONDS more, and becomes the command. Compose files
# of Teranode begin with it, where they mount none of their own.
set -eu
host=$1 port=$2 seconds=$3
shift 3
if [ "${1:-}" = -- ]; then shift; fi
# As process 1 it would not hear that it is to stop.
trap 'exit 143' TERM INT
until nc -z "$host" "$port"; do
  echo "$host:$port takes no connections yet" >&2
  sleep 1
done
sleep "$seconds"
exec "$@"
