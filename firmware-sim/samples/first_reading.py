#!/usr/bin/env python3
"""A first reading from a device that holds its own key (Debian: python3-nacl, python3-paho-mqtt).

    first_reading.py FOLDER                                  make the key, print the DID: have it enrolled
    first_reading.py FOLDER HOST PORT ORIGIN SUB WH          sign the register 1-0:1.8.0 and publish it

FOLDER holds what a meter has in its flash: the key's seed (mode 0600), the boot epoch, and the envelope that is not
acknowledged yet, which is sent again, byte for byte, before a new one. Exit code 0 says: acknowledged, so it is in the
log for ever, or in quarantine with its reason. 1: not acknowledged, kept, run it again. 2: it is used wrongly.
"""

import base64
import json
import os
import sys
import threading
import time

import paho.mqtt.client as mqtt
from nacl.signing import SigningKey

PATIENCE_S = 20
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def cbor(value):
    """What an envelope is made of, in its one encoding (RFC 8949 section 4.2.1); keys of maps come in rising order."""

    def head(major, n):
        for more, limit in ((0, 24), (1, 1 << 8), (2, 1 << 16), (4, 1 << 32), (8, 1 << 64)):
            if n < limit:
                info = n if more == 0 else 24 + (more.bit_length() - 1)
                return bytes([major << 5 | info]) + (n.to_bytes(more, "big") if more else b"")
        raise ValueError("an integer of more than 64 bits")

    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


def did_of(key):
    """did:key:z + base58btc(0xed 0x01 + public key)"""
    number, text = int.from_bytes(b"\xed\x01" + bytes(key.verify_key), "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "did:key:z" + text


def envelope_of(key, sub, epoch, seq, wh):
    """A tagged COSE_Sign1 (RFC 9052) over a SenML pack (RFC 8428)."""
    cti = epoch.to_bytes(4, "big") + seq.to_bytes(4, "big")
    header = cbor({1: -19, 3: 112, 15: {1: did_of(key), 2: sub, 6: int(time.time()), 7: cti}})
    payload = cbor([{0: "1-0:1.8.0", 1: "Wh", 2: wh}])
    signature = key.sign(cbor(["Signature1", header, b"", payload])).signature
    return b"\xd2" + cbor([header, {}, payload, signature])


def token_of(key, origin):
    """The password: a JWT that the device signs itself, good for five minutes."""

    def part(of):
        return base64.urlsafe_b64encode(of).rstrip(b"=").decode()

    now = int(time.time())
    claims = {"sub": did_of(key), "aud": origin, "iat": now, "exp": now + 300}
    text = ".".join(part(json.dumps(p).encode()) for p in ({"alg": "EdDSA", "typ": "JWT"}, claims))
    return f"{text}.{part(key.sign(text.encode()).signature)}"


class Flash:
    """Each file is whole or not there, also after a power cut: written beside, synced, renamed, the folder synced."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)

    def load(self, name):
        try:
            with open(os.path.join(self.folder, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def save(self, name, content):
        beside = os.path.join(self.folder, "new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, os.path.join(self.folder, name))
        self.sync()

    def drop(self, name):
        os.unlink(os.path.join(self.folder, name))
        self.sync()

    def sync(self):
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def publish(key, envelope, host, port, origin):
    did, done, said = did_of(key), threading.Event(), {}
    versions = getattr(mqtt, "CallbackAPIVersion", None)  # paho-mqtt 2 wants to be told which callbacks these are
    client = mqtt.Client(*([versions.VERSION1] if versions else []), client_id=did, protocol=mqtt.MQTTv311)
    client.username_pw_set(did, token_of(key, origin))

    def on_connect(_client, _data, _flags, code):
        said["login"] = code
        if code == 0:
            client.publish(f"up/{did}/cose", envelope, qos=1)
        else:
            done.set()

    def on_publish(_client, _data, _mid):  # with QoS 1: the PUBACK has come
        said["acknowledged"] = True
        done.set()

    client.on_connect, client.on_publish = on_connect, on_publish
    try:
        client.connect(host, port)
    except OSError as error:
        sys.exit(f"the gateway can't be reached ({error}); the envelope is kept")
    client.loop_start()
    done.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    if said.get("login"):
        sys.exit(f"the gateway refuses the login (code {said['login']}): is the DID enrolled, is ORIGIN its own?")
    if "acknowledged" not in said:
        sys.exit("no answer in time; the envelope is kept")


def main(args):
    if len(args) not in (1, 6):
        print("first_reading.py FOLDER [HOST PORT ORIGIN SUB WH]", file=sys.stderr)
        return 2
    flash = Flash(args[0])
    if flash.load("key") is None:
        flash.save("key", bytes(SigningKey.generate()))
    key = SigningKey(flash.load("key"))
    print(did_of(key), flush=True)
    if len(args) == 1:
        return 0
    host, port, origin, sub, wh = args[1], int(args[2]), args[3], args[4], int(args[5])
    kept = flash.load("unacknowledged")
    if kept is not None:
        publish(key, kept, host, port, origin)
        flash.drop("unacknowledged")
    # Each run is a boot. Its number is on disk before it is used: a counter must never come twice.
    epoch = int(flash.load("epoch") or 0) + 1
    flash.save("epoch", str(epoch).encode())
    envelope = envelope_of(key, sub, epoch, 0, wh)
    flash.save("unacknowledged", envelope)
    publish(key, envelope, host, port, origin)
    flash.drop("unacknowledged")
    print(f"acknowledged: {wh} Wh, counter {epoch}/0, {len(envelope)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
