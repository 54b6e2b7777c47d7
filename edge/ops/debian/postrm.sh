#!/bin/sh
# remove keeps config, keys, log and user; purge takes them all.
set -e
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload > /dev/null || true
fi
if [ "$1" = remove ]; then
  rm -rf /var/cache/sejong-edge
  deb-systemd-helper mask sejong-edge.service > /dev/null || true
fi
if [ "$1" = purge ]; then
  deb-systemd-helper purge sejong-edge.service > /dev/null || true
  deb-systemd-helper unmask sejong-edge.service > /dev/null || true
  deb-systemd-helper purge sejong-edge-flows.service > /dev/null || true
  rm -rf /var/lib/sejong-edge /var/cache/sejong-edge /etc/sejong-edge
  if getent passwd sejong-edge > /dev/null && command -v deluser > /dev/null; then
    deluser --quiet --system sejong-edge > /dev/null || true
  fi
fi
