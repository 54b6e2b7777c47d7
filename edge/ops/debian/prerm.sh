#!/bin/sh
# For an upgrade, too: a running gateway must not load parts of the next version. Devices keep what is not
# acknowledged, and send it again.
set -e
if [ -d /run/systemd/system ]; then
  deb-systemd-invoke stop sejong-edge-flows.service sejong-edge.service > /dev/null || true
fi
