#!/bin/sh
# 192 random bits, readable by root alone: systemd hands them to the service as a credential. Whole or not at all.
set -eu
file=/etc/sejong-edge/passphrase
[ ! -e "$file" ] || exit 0
umask 077
head -c 24 /dev/urandom | base64 > "$file.new"
sync "$file.new"
mv "$file.new" "$file"
