#!/bin/sh
# The installed gateway's command line. What root asks goes on as the service's user, so that nothing in the data
# folder becomes root's; only what reads or writes files that root names, and nothing in that folder, stays root.
set -eu
lib=/usr/lib/sejong-edge
passphrase=/etc/sejong-edge/passphrase
: "${SEJONG_EDGE_CONFIG=/etc/sejong-edge/sejong-edge.yaml}"
: "${SEJONG_EDGE_LAST_GOOD=/var/lib/sejong-edge/last-good.yaml}"
: "${MALLOC_ARENA_MAX=2}"
export SEJONG_EDGE_CONFIG SEJONG_EDGE_LAST_GOOD MALLOC_ARENA_MAX

as=
if [ "$(id -u)" = 0 ]; then
  # The service has it as a credential; who may read the file may have it, too.
  if [ -z "${SEJONG_EDGE_PASSPHRASE-}" ] && [ -r "$passphrase" ]; then
    SEJONG_EDGE_PASSPHRASE=$(cat "$passphrase")
    export SEJONG_EDGE_PASSPHRASE
  fi
  case ${1-} in
    '' | help | -h | --help | --version) ;;
    backup | check-config | config | credits | doctor | enroll | export | fraud | profiles | salvage | verify) ;;
    restore)
      # It needs files of root's and folders beside the data folder; what it puts there is the service's.
      status=0
      "$lib/bin/node" "$lib/edge/main.ts" "$@" || status=$?
      chown -R sejong-edge:sejong-edge /var/lib/sejong-edge
      exit "$status"
      ;;
    *) as='setpriv --reuid=sejong-edge --regid=sejong-edge --init-groups --' ;;
  esac
fi
if [ -n "$as" ] || [ "$(id -un)" = sejong-edge ]; then
  export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE-/var/cache/sejong-edge/node}" HOME=/var/lib/sejong-edge
fi
# shellcheck disable=SC2086
exec $as "$lib/bin/node" --max-semi-space-size=2 "$lib/edge/main.ts" "$@"
