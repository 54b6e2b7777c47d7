#!/bin/sh
# No key and no passphrase is made here: the first start makes them, so that boxes cloned from one image share none.
set -e
if [ "$1" = configure ] || [ "$1" = abort-upgrade ] || [ "$1" = abort-remove ] || [ "$1" = abort-deconfigure ]; then
  if ! getent passwd sejong-edge > /dev/null; then
    adduser --quiet --system --group --home /var/lib/sejong-edge --no-create-home --gecos 'Sejong Edge gateway' sejong-edge
  fi
  # setgid: a config that is put in place of another stays readable for the service.
  install -d -m 2750 -o root -g sejong-edge /etc/sejong-edge
  install -d -m 0700 -o sejong-edge -g sejong-edge /var/lib/sejong-edge /var/cache/sejong-edge
  if [ ! -e /etc/sejong-edge/sejong-edge.yaml ]; then
    lib=/usr/lib/sejong-edge
    "$lib/bin/node" "$lib/edge/main.ts" init --config-only --config /etc/sejong-edge/sejong-edge.yaml \
      --data /var/lib/sejong-edge > /dev/null
    chown root:sejong-edge /etc/sejong-edge/sejong-edge.yaml
    chmod 0640 /etc/sejong-edge/sejong-edge.yaml
  fi

  # Node-RED is off until somebody wants it: systemctl enable --now sejong-edge-flows
  deb-systemd-helper unmask sejong-edge.service > /dev/null || true
  if deb-systemd-helper --quiet was-enabled sejong-edge.service; then
    deb-systemd-helper enable sejong-edge.service > /dev/null || true
  else
    deb-systemd-helper update-state sejong-edge.service > /dev/null || true
  fi
  if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload > /dev/null || true
    # A gateway that does not come up must not leave the package half installed: systemctl status says why.
    deb-systemd-invoke start sejong-edge.service > /dev/null || true
    if systemctl --quiet is-enabled sejong-edge-flows.service 2> /dev/null; then
      deb-systemd-invoke start sejong-edge-flows.service > /dev/null || true
    fi
  fi
fi
