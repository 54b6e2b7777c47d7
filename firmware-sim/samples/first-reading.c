/*
 * A first reading from a device that holds its own key: C99 and libsodium, nothing else.
 *
 *   cc -std=c99 -Wall -Wextra -O2 -o first-reading first-reading.c -lsodium      (Debian: libsodium-dev)
 *   ./first-reading FOLDER                                  make the key, print the DID: have it enrolled
 *   ./first-reading FOLDER HOST PORT ORIGIN SUB WH          sign the register 1-0:1.8.0 and publish it
 *
 * FOLDER holds what a meter has in its flash: the key's seed (mode 0600), the boot epoch, and the envelope that is not
 * acknowledged yet, which is sent again, byte for byte, before a new one. Exit code 0 says: acknowledged, so it is in
 * the log for ever, or in quarantine with its reason. 1: not acknowledged, kept, run it again. 2: it is used wrongly.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <netdb.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void die(int code, const char *what) {
  fprintf(stderr, "first-reading: %s\n", what);
  exit(code);
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

typedef struct { uint8_t at[4096]; size_t n; } Bytes;

static void put(Bytes *b, const void *from, size_t n) {
  if (n > sizeof b->at - b->n) die(2, "too long for this sample");
  memcpy(b->at + b->n, from, n);
  b->n += n;
}
static void put_byte(Bytes *b, uint8_t byte) { put(b, &byte, 1); }

/* The head of a CBOR item in its shortest form, big-endian (RFC 8949 section 4.2.1). */
static void cbor(Bytes *b, uint8_t major, uint64_t value) {
  int more = value < 24 ? 0 : value < 0x100 ? 1 : value < 0x10000 ? 2 : value < 0x100000000 ? 4 : 8;
  put_byte(b, (uint8_t)(major << 5 | (more == 0 ? (int)value : more == 1 ? 24 : more == 2 ? 25 : more == 4 ? 26 : 27)));
  for (int i = more - 1; i >= 0; i--) put_byte(b, (uint8_t)(value >> (8 * i)));
}
enum { UINT, NINT, BSTR, TSTR, ARRAY, MAP };
static void cbor_text(Bytes *b, const char *text) { cbor(b, TSTR, strlen(text)); put(b, text, strlen(text)); }
static void cbor_bytes(Bytes *b, const Bytes *of) { cbor(b, BSTR, of->n); put(b, of->at, of->n); }

/* --- what the device keeps --------------------------------------------------------------------------------------- */

static const char *folder;

static const char *path_of(const char *name) {
  static char path[4][512];
  static int turn;
  turn = (turn + 1) % 4;
  if (snprintf(path[turn], sizeof *path, "%s/%s", folder, name) >= (int)sizeof *path) die(2, "the folder's name is too long");
  return path[turn];
}

static int load(const char *name, Bytes *b) {
  FILE *file = fopen(path_of(name), "rb");
  if (!file) return 0;
  b->n = fread(b->at, 1, sizeof b->at, file);
  fclose(file);
  return 1;
}

/* It is whole or not there, also after a power cut: written beside, synced, renamed, and the folder synced. */
static void save(const char *name, const Bytes *b) {
  int fd = open(path_of("new"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, b->at, b->n) != (ssize_t)b->n || fsync(fd) || close(fd)) die(1, "the state can't be written");
  if (rename(path_of("new"), path_of(name))) die(1, "the state can't be renamed");
  int dir = open(folder, O_RDONLY);
  if (dir < 0 || fsync(dir) || close(dir)) die(1, "the folder can't be synced");
}

/* --- who it is --------------------------------------------------------------------------------------------------- */

static uint8_t public_key[32], secret_key[64];
static char did[64];

/* did:key:z + base58btc(0xed 0x01 + public key) */
static void make_did(void) {
  static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  uint8_t number[34] = {0xed, 0x01}, out[48];
  memcpy(number + 2, public_key, 32);
  int n = 0;
  for (size_t first = 0; first < sizeof number;) {
    int rest = 0; /* long division by 58, a digit each time */
    for (size_t i = first; i < sizeof number; i++) {
      int value = rest * 256 + number[i];
      number[i] = (uint8_t)(value / 58);
      rest = value % 58;
    }
    out[n++] = (uint8_t)digits[rest];
    while (first < sizeof number && number[first] == 0) first++;
  }
  strcpy(did, "did:key:z");
  for (char *to = did + 9; n > 0; *to = 0) *to++ = (char)out[--n];
}

static void load_key(void) {
  Bytes seed = {.n = 0};
  if (!load("key", &seed)) {
    seed.n = 32;
    randombytes_buf(seed.at, 32);
    save("key", &seed);
  }
  if (seed.n != 32) die(2, "FOLDER/key is not a seed of 32 bytes");
  crypto_sign_seed_keypair(public_key, secret_key, seed.at);
  sodium_memzero(seed.at, 32);
  make_did();
}

/* --- the envelope (a tagged COSE_Sign1, RFC 9052) ---------------------------------------------------------------- */

static void make_envelope(Bytes *out, const char *sub, uint32_t epoch, uint32_t seq, uint64_t wh) {
  Bytes header = {.n = 0}, payload = {.n = 0}, to_sign = {.n = 0};
  uint8_t cti[8], signature[64];
  for (int i = 0; i < 4; i++) {
    cti[i] = (uint8_t)(epoch >> (24 - 8 * i));
    cti[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
  }
  cbor(&header, MAP, 3); /* {1: -19 (Ed25519), 3: 112 (senml+cbor), 15: {1: iss, 2: sub, 6: iat, 7: cti}} */
  cbor(&header, UINT, 1); cbor(&header, NINT, 18);
  cbor(&header, UINT, 3); cbor(&header, UINT, 112);
  cbor(&header, UINT, 15); cbor(&header, MAP, 4);
  cbor(&header, UINT, 1); cbor_text(&header, did);
  cbor(&header, UINT, 2); cbor_text(&header, sub);
  cbor(&header, UINT, 6); cbor(&header, UINT, (uint64_t)time(NULL));
  cbor(&header, UINT, 7); cbor(&header, BSTR, 8); put(&header, cti, 8);

  cbor(&payload, ARRAY, 1); cbor(&payload, MAP, 3); /* [{n: "1-0:1.8.0", u: "Wh", v: register}], RFC 8428 */
  cbor(&payload, UINT, 0); cbor_text(&payload, "1-0:1.8.0");
  cbor(&payload, UINT, 1); cbor_text(&payload, "Wh");
  cbor(&payload, UINT, 2); cbor(&payload, UINT, wh);

  cbor(&to_sign, ARRAY, 4); /* Sig_structure, RFC 9052 section 4.4 */
  cbor_text(&to_sign, "Signature1");
  cbor_bytes(&to_sign, &header);
  cbor(&to_sign, BSTR, 0);
  cbor_bytes(&to_sign, &payload);
  crypto_sign_detached(signature, NULL, to_sign.at, to_sign.n, secret_key);

  out->n = 0;
  put_byte(out, 0xd2); /* tag 18 */
  cbor(out, ARRAY, 4);
  cbor_bytes(out, &header);
  cbor(out, MAP, 0);
  cbor_bytes(out, &payload);
  cbor(out, BSTR, 64);
  put(out, signature, 64);
}

/* --- MQTT 3.1.1 -------------------------------------------------------------------------------------------------- */

static void put_base64url(Bytes *b, const void *of, size_t n) {
  char text[2048];
  if (n > 1024) die(2, "too long for this sample");
  sodium_bin2base64(text, sizeof text, of, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  put(b, text, strlen(text));
}

/* The password: a JWT that the device signs itself, good for five minutes. */
static void make_token(Bytes *token, const char *origin) {
  static const char header[] = "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}";
  char claims[512];
  uint8_t signature[64];
  long long now = (long long)time(NULL);
  int n = snprintf(claims, sizeof claims, "{\"sub\":\"%s\",\"aud\":\"%s\",\"iat\":%lld,\"exp\":%lld}", did, origin, now, now + 300);
  if (n < 0 || n >= (int)sizeof claims) die(2, "ORIGIN is too long");
  token->n = 0;
  put_base64url(token, header, strlen(header));
  put_byte(token, '.');
  put_base64url(token, claims, (size_t)n);
  crypto_sign_detached(signature, NULL, token->at, token->n, secret_key);
  put_byte(token, '.');
  put_base64url(token, signature, 64);
}

static void mqtt_field(Bytes *b, const void *of, size_t n) {
  put_byte(b, (uint8_t)(n >> 8));
  put_byte(b, (uint8_t)n);
  put(b, of, n);
}

static void mqtt_send(int fd, uint8_t type, const Bytes *body) {
  Bytes packet = {.n = 0};
  put_byte(&packet, type);
  size_t left = body->n;
  do {
    put_byte(&packet, (uint8_t)((left % 128) | (left >= 128 ? 0x80 : 0)));
    left /= 128;
  } while (left > 0);
  put(&packet, body->at, body->n);
  for (size_t sent = 0; sent < packet.n;) {
    ssize_t n = send(fd, packet.at + sent, packet.n - sent, MSG_NOSIGNAL);
    if (n <= 0) die(1, "the connection was lost; the envelope is kept");
    sent += (size_t)n;
  }
}

/* CONNACK and PUBACK are four bytes each, and nothing else comes: we subscribe to nothing. */
static void mqtt_await(int fd, uint8_t type, uint8_t answer[4]) {
  for (size_t got = 0; got < 4;) {
    ssize_t n = recv(fd, answer + got, 4 - got, 0);
    if (n <= 0) die(1, "no answer in time, or the connection was closed; the envelope is kept");
    got += (size_t)n;
  }
  if (answer[0] != type || answer[1] != 2) die(1, "the broker says what was not asked for; the envelope is kept");
}

static int dial(const char *host, const char *port) {
  struct addrinfo want = {.ai_socktype = SOCK_STREAM}, *list;
  if (getaddrinfo(host, port, &want, &list)) die(2, "HOST and PORT name no address");
  for (struct addrinfo *a = list; a; a = a->ai_next) {
    int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
    if (fd < 0) continue;
    struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
      freeaddrinfo(list);
      return fd;
    }
    close(fd);
  }
  die(1, "the gateway can't be reached; the envelope is kept");
  return -1;
}

static void publish(const Bytes *envelope, const char *host, const char *port, const char *origin) {
  int fd = dial(host, port);
  Bytes token, body = {.n = 0};
  uint8_t answer[4];
  char topic[96];
  make_token(&token, origin);
  mqtt_field(&body, "MQTT", 4);
  put(&body, "\x04\xc2\x00\x3c", 4); /* 3.1.1; user, password, clean session; keep alive 60 s */
  mqtt_field(&body, did, strlen(did));
  mqtt_field(&body, did, strlen(did));
  mqtt_field(&body, token.at, token.n);
  mqtt_send(fd, 0x10, &body);
  mqtt_await(fd, 0x20, answer);
  if (answer[3] != 0) die(1, "the gateway refuses the login: is the DID enrolled, is ORIGIN its own, is the clock right?");
  body.n = 0;
  snprintf(topic, sizeof topic, "up/%s/cose", did);
  mqtt_field(&body, topic, strlen(topic));
  put(&body, "\x00\x01", 2);
  put(&body, envelope->at, envelope->n);
  mqtt_send(fd, 0x32, &body); /* PUBLISH, QoS 1 */
  mqtt_await(fd, 0x40, answer);
  body.n = 0;
  mqtt_send(fd, 0xe0, &body);
  close(fd);
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 7) die(2, "first-reading FOLDER [HOST PORT ORIGIN SUB WH]");
  if (sodium_init() < 0) die(2, "libsodium does not start");
  folder = argv[1];
  mkdir(folder, 0700);
  load_key();
  printf("%s\n", did);
  if (argc == 2) return 0;
  char *end;
  unsigned long long wh = strtoull(argv[6], &end, 10);
  if (*end || argv[6][0] == '-' || end == argv[6]) die(2, "WH is a whole number of Wh");

  Bytes envelope = {.n = 0}, boot = {.n = 0};
  if (load("unacknowledged", &envelope)) {
    publish(&envelope, argv[2], argv[3], argv[4]);
    unlink(path_of("unacknowledged"));
  }
  /* Each run is a boot. Its number is on disk before it is used: a counter must never come twice. */
  load("epoch", &boot);
  boot.at[boot.n < sizeof boot.at ? boot.n : 0] = 0;
  uint32_t epoch = (uint32_t)strtoul((char *)boot.at, NULL, 10) + 1;
  boot.n = (size_t)sprintf((char *)boot.at, "%lu", (unsigned long)epoch);
  save("epoch", &boot);
  make_envelope(&envelope, argv[5], epoch, 0, wh);
  save("unacknowledged", &envelope);
  publish(&envelope, argv[2], argv[3], argv[4]);
  unlink(path_of("unacknowledged"));
  printf("acknowledged: %llu Wh, counter %lu/0, %zu bytes\n", wh, (unsigned long)epoch, envelope.n);
  return 0;
}
