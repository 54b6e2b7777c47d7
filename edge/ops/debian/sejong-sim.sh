#!/bin/sh
# Simulated devices, for tests of a site.
exec /usr/lib/sejong-edge/bin/node /usr/lib/sejong-edge/firmware-sim/main.ts "$@"
