/**
 * Every error the gateway can name, in one table. Codes are stable and never reused: devices,
 * dashboards and runbooks key on them.
 *
 * `status`  HTTP status of the problem document (RFC 9457).
 * `act`     refuse: this input is bad, sending it again cannot help;
 *           retry: the input may be fine, try later;
 *           fatal: the gateway cannot run like this.
 * `title`   what was wrong, without the particulars.
 * `todo`    what the reader should do about it.
 */
type Row = { status: number; act: 'refuse' | 'retry' | 'fatal'; title: string; todo: string };

const table = {
  // --- envelopes: the reasons for which one lies in quarantine -------------------------------
  ENVELOPE_TOO_LARGE: {
    status: 413,
    act: 'refuse',
    title: 'The envelope is larger than 65,535 bytes',
    todo: 'Put fewer records into one pack.',
  },
  CBOR_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The bytes are not deterministic CBOR',
    todo: 'Encode by RFC 8949 section 4.2.1: shortest forms, definite lengths, sorted keys, no tags but 18.',
  },
  ENVELOPE_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The bytes are not an envelope',
    todo: 'Send a tagged COSE_Sign1 with the protected headers alg, content format 112 and CWT claims iss, sub, iat, cti.',
  },
  SENML_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The payload is not a SenML pack',
    todo: 'Send an array of records as RFC 8428 has them, with resolved names and one value each.',
  },
  PROFILE_MISMATCH: {
    status: 422,
    act: 'refuse',
    title: 'The pack does not fit the profile of the device',
    todo: "Compare it with the device's kind (sejong-edge profiles show KIND): a billed register comes first, in Wh, as an unsigned integer, and each value is of its unit and range. A device that measures beyond its range is faulty, or is of another kind.",
  },
  DID_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The DID is not a usable did:key',
    todo: 'Use did:key in its canonical form, of an Ed25519 key (z6Mk...) of prime order or a compressed P-256 point (zDn...).',
  },
  ALG_MISMATCH: {
    status: 400,
    act: 'refuse',
    title: "The signature algorithm does not fit the device's key",
    todo: 'Use alg -19 (Ed25519) or -8 (EdDSA) with an Ed25519 key, -9 (ESP256) with a P-256 key; see RFC 9864.',
  },
  SIGNATURE_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The signature does not verify',
    todo: 'Sign the Sig_structure of RFC 9052 section 4.4 with the key that the DID names; with P-256 send r || s, and n - s where s is above n/2.',
  },
  DEVICE_UNKNOWN: {
    status: 404,
    act: 'refuse',
    title: 'The device is not enrolled here',
    todo: 'Enrol it: sejong-edge enroll, or POST /devices.',
  },
  DEVICE_INACTIVE: {
    status: 403,
    act: 'refuse',
    title: 'The device may not speak now',
    todo: 'An operator can resume a suspended device; a revoked or replaced one stays silent.',
  },
  ISSUER_MISMATCH: {
    status: 403,
    act: 'refuse',
    title: 'The envelope is not from the device whose topic it came on',
    todo: 'Publish below up/{did}/ with the DID that signed (iss).',
  },
  SUBJECT_MISMATCH: {
    status: 422,
    act: 'refuse',
    title: 'The envelope measures something else than the device is enrolled for',
    todo: 'Set sub to the metering point or vehicle in the registry, or replace the device.',
  },
  CUSTODY_MISMATCH: {
    status: 403,
    act: 'refuse',
    title: 'The topic does not fit who holds the key of this device',
    todo: 'Custody device publishes signed envelopes on up/{did}/cose; custody gateway publishes SenML on up/{did}/senml.',
  },
  REPLAY: {
    status: 409,
    act: 'refuse',
    title: 'The counter (cti) is lower than one that the log holds, and fills no open gap',
    todo: 'Never reuse a counter: raise the boot epoch at each start and the sequence at each envelope.',
  },
  EQUIVOCATION: {
    status: 409,
    act: 'refuse',
    title: 'The same counter (cti) was used for other bytes',
    todo: 'Look for a cloned key or a counter that was reset; replace the device if its key may have leaked.',
  },
  QUARANTINE_FULL: {
    status: 507,
    act: 'retry',
    title: 'There is no room left in quarantine for this device, so nothing was acknowledged',
    todo: 'An operator reviews and drops what lies there; raise intake.maxQuarantinePerDevice or maxQuarantine.',
  },
  DISK_RESERVE: {
    status: 507,
    act: 'retry',
    title: 'The disk is full up to the reserve of the gateway, so nothing was acknowledged',
    todo: 'Make room on the disk, raise retention.maxBytes, or lower retention.days; devices resend by themselves.',
  },
  // --- connections and requests ---------------------------------------------------------------
  LOGIN_FAILED: {
    status: 401,
    act: 'refuse',
    title: 'The login was refused',
    todo: 'Check user name and password or token.',
  },
  LOGIN_THROTTLED: {
    status: 429,
    act: 'retry',
    title: 'Too many logins have failed, so this one was not looked at',
    todo: 'Wait a minute; correct the password or token, or stop the program that keeps trying.',
  },
  TOKEN_INVALID: {
    status: 401,
    act: 'refuse',
    title: 'The bearer token is missing or not valid',
    todo: 'Make one: sejong-edge token make --role viewer.',
  },
  SIGN_IN_INVALID: {
    status: 401,
    act: 'refuse',
    title: 'The sign-in code is unknown, was used before, or is older than 10 minutes',
    todo: 'Have a new link made: sejong-edge console, on the gateway; or sign in with a token.',
  },
  TOKENS_FULL: {
    status: 507,
    act: 'retry',
    title: 'As many tokens have not ended as are kept',
    todo: 'Use tokens that live for a shorter time; those that were revoked keep their place until they end.',
  },
  ROLE_MISSING: {
    status: 403,
    act: 'refuse',
    title: 'The token does not have the role that this needs',
    todo: 'Use a token with a higher role (viewer < engineer < operator).',
  },
  TOPIC_FORBIDDEN: {
    status: 403,
    act: 'refuse',
    title: 'This login may not use this topic',
    todo: 'A device publishes below up/{its did}/ and reads down/{its did}/; people read live/.',
  },
  PACKET_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The MQTT packet is malformed or over a cap',
    todo: 'Speak MQTT 3.1.1; see the mqtt section of the config for the caps.',
  },
  REQUEST_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The request does not fit its schema',
    todo: 'See /docs for the parameters and their ranges.',
  },
  NOT_FOUND: {
    status: 404,
    act: 'refuse',
    title: 'There is nothing at this address',
    todo: 'See /docs for the paths.',
  },
  NOT_IN_CHECKPOINT: {
    status: 409,
    act: 'retry',
    title: 'No checkpoint covers this entry yet',
    todo: 'Ask again in a few seconds, after the next checkpoint.',
  },
  NOT_ANCHORED: {
    status: 409,
    act: 'retry',
    title: 'No anchor covers this entry yet',
    todo: 'Ask again after the next anchor, or take another format: the others need a checkpoint only.',
  },
  ENTRY_PRUNED: {
    status: 410,
    act: 'refuse',
    title: 'The payload of this entry is no longer kept here',
    todo: 'Look into the bundles that were exported before (sejong-edge export); the hash of the entry is still in the log.',
  },
  ENTRY_FORGOTTEN: {
    status: 410,
    act: 'refuse',
    title: 'What this sealed entry was over has been destroyed',
    todo: 'Its receipt still proves that there was something (GET /entries/{index}/receipt).',
  },
  SUBJECT_UNKNOWN: {
    status: 404,
    act: 'refuse',
    title: 'Nobody here goes by this DID or URN',
    todo: 'Give the DID of a device, or the URN (sub) that it was enrolled with: GET /devices has both.',
  },
  GAP_NOT_OPEN: {
    status: 409,
    act: 'refuse',
    title: 'The counters are not one open gap of this device',
    todo: 'See its open gaps at GET /devices/{did}; what is declared lost once stays so.',
  },
  DEVICE_EXISTS: {
    status: 409,
    act: 'refuse',
    title: 'This device is enrolled already',
    todo: 'Read it at GET /devices/{did}, or replace it.',
  },
  CLAIM_INVALID: {
    status: 403,
    act: 'refuse',
    title: 'The claim is not shown to be yours, or there is none',
    todo: 'Use the code as it was given, before it expires: POST /claims/{id} with the DID and a JWT by its key (jti the id, nonce made with the code).',
  },
  CLAIM_TAKEN: {
    status: 409,
    act: 'refuse',
    title: 'The claim code was used by another device, or dropped',
    todo: 'Ask the operator to drop this claim and to make another; if nobody of yours used the code, it has leaked.',
  },
  CLAIM_STATE: {
    status: 409,
    act: 'refuse',
    title: 'The claim is in a state that does not allow this',
    todo: 'A pending claim may be confirmed, an open or pending one dropped; the others are final. See GET /claims.',
  },
  CARE_UNFIT: {
    status: 422,
    act: 'refuse',
    title: 'Nobody can be looked after by this device',
    todo: 'Name an active meter of a household (a sealed kind that bills 1-0:1.8.0), of which nobody is looked after yet.',
  },
  CARE_UNKNOWN: {
    status: 404,
    act: 'refuse',
    title: 'Nobody is looked after by this device',
    todo: 'See GET /care. Who has not asked for it, or has withdrawn, is not there.',
  },
  CARE_FULL: {
    status: 409,
    act: 'refuse',
    title: 'As many people are looked after as this gateway may',
    todo: 'End it for those who no longer need it (POST /care/{did}/withdraw).',
  },
  CLAIMS_FULL: {
    status: 507,
    act: 'retry',
    title: 'As many claims are open as are kept',
    todo: 'Drop those that are not needed (sejong-edge claim drop), or wait until they expire.',
  },
  FINGERPRINT_DIFFERS: {
    status: 409,
    act: 'refuse',
    title: 'The fingerprint is not that of the device that came with this code',
    todo: 'Compare it again with what the device shows. If it differs another device has used the code: drop the claim.',
  },
  STATE_CONFLICT: {
    status: 409,
    act: 'refuse',
    title: 'The device is in a state that does not allow this',
    todo: 'active may be suspended, revoked or replaced; suspended may be resumed; revoked and replaced are final.',
  },
  REKEY_UNPROVEN: {
    status: 403,
    act: 'refuse',
    title: 'The old key did not sign that this is its new one',
    todo: 'Sign "sejong-edge/rekey@1", the old DID and the new DID, each with a line feed after it, with the old key; a device that lost its key is replaced, not re-keyed.',
  },
  // --- witnesses: what one answers, and what we make of the answers of ours ---------------------
  WITNESS_LOG_UNKNOWN: {
    status: 404,
    act: 'refuse',
    title: 'This witness does not know the log',
    todo: "Its operator adds the log's verifier key to witness.logs.",
  },
  WITNESS_UNSIGNED: {
    status: 403,
    act: 'refuse',
    title: 'The checkpoint is not signed by a key that this witness trusts for its log',
    todo: "Compare the log's verifier key (/log/key) with the one in witness.logs.",
  },
  WITNESS_UNPROVEN: {
    status: 422,
    act: 'refuse',
    title: 'The proof does not lead from the checkpoint that this witness holds to the new one',
    todo: 'Make the proof from the size that the witness answers; if it fails again, compare the roots: the log may have two histories.',
  },
  WITNESS_SPLIT_VIEW: {
    status: 409,
    act: 'refuse',
    title: 'The log signed two roots for one size',
    todo: 'Keep both checkpoints (GET /witness/evidence): they prove that the log has two histories.',
  },
  WITNESS_BUSY: {
    status: 429,
    act: 'retry',
    title: 'More cosignatures of this log are asked for than the cap allows',
    todo: 'Ask again in a second, for the newest checkpoint only; see witness.maxRate.',
  },
  WITNESS_AWAY: {
    status: 503,
    act: 'retry',
    title: 'A witness does not answer',
    todo: 'Checkpoints are published without its cosignature; it is asked again by itself.',
  },
  WITNESS_REFUSED: {
    status: 502,
    act: 'retry',
    title: 'A witness answered with no usable cosignature',
    todo: 'Compare its verifier key and URL in log.witnesses, and ask its operator whether it knows this log.',
  },
  LOG_BEHIND_WITNESS: {
    status: 500,
    act: 'refuse',
    title: 'The log is behind, or differs from, what a witness says it holds of it',
    todo: 'Put the newest copy of the data folder back; until then readings are kept but no checkpoint is signed. If the witness is known to be wrong, take it out of log.witnesses.',
  },
  READERS_FULL: {
    status: 503,
    act: 'retry',
    title: 'As many readers are connected as the cap allows',
    todo: 'Close one, try later, or raise http.maxEventStreams.',
  },
  INTERNAL: {
    status: 500,
    act: 'retry',
    title: 'The gateway failed at this request',
    todo: "Look at the gateway's log around this time.",
  },
  CONSOLE_BUILD: {
    status: 503,
    act: 'retry',
    title: 'The console could not be built',
    todo: 'All else works without it. Make room in the data folder, and see that npm ci went through (esbuild brings a program of its own).',
  },
  STORE_UNAVAILABLE: {
    status: 503,
    act: 'retry',
    title: 'The store cannot take this now, so nothing was acknowledged',
    todo: 'Check disk space and health; devices resend by themselves.',
  },
  // --- alarms: what a person should look at while readings are taken -----------------------------
  DEVICE_SILENT: {
    status: 504,
    act: 'retry',
    title: 'Nothing comes from a device any more, for longer than it usually lets pass',
    todo: 'Look at its power and its link. One that was taken away for good is revoked: sejong-edge device revoke.',
  },
  DISK_LOW: {
    status: 507,
    act: 'retry',
    title: 'The disk is getting full',
    todo: 'Make room on it, raise retention.maxBytes, or lower retention.days; readings are taken until the reserve is reached.',
  },
  CLOCK_UNSYNCED: {
    status: 503,
    act: 'retry',
    title: 'Nobody vouches for the clock of the gateway',
    todo: 'Give the machine a time source (NTP, GNSS); readings are taken all the same, certificates wait for it.',
  },
  CERTIFICATE_ENDS: {
    status: 503,
    act: 'retry',
    title: 'The TLS certificate ends soon, or has ended',
    todo: 'Put a new one into its file: it is read without a restart.',
  },
  DATABASE_ASIDE: {
    status: 500,
    act: 'retry',
    title: 'A database was set aside, and a new log was begun after it',
    todo: 'Move it to a safe place outside the data folder: it proves the entries of the log before (sejong-edge salvage).',
  },
  CREDITS_WAIT: {
    status: 503,
    act: 'retry',
    title: 'Certificates, or RECs of a month, wait for something',
    todo: 'Read the detail; see the credits part at GET /health.',
  },
  PART_UNWELL: {
    status: 503,
    act: 'retry',
    title: 'A part of the gateway is not well',
    todo: 'Read the detail, and the log of the gateway around this time; see GET /health.',
  },
  ALARM_STATE: {
    status: 409,
    act: 'refuse',
    title: 'The alarm is over already, or only ends by itself',
    todo: 'Mend what it is about: it is over at the next look. See GET /alarms.',
  },
  // --- vehicle checks: messages, proofs, and what the city publishes ----------------------------
  MESSAGE_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The message does not have the form that it must have',
    todo: 'Correct the member named; unknown members, names that stand twice and times without Z are refused.',
  },
  PROOF_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The proof does not verify',
    todo: 'Sign by eddsa-jcs-2022 with an Ed25519 key, by ecdsa-jcs-2019 (r || s, low s) with a P-256 key, with the key and for the purpose that are expected.',
  },
  STATUS_LIST_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The status list cannot be used',
    todo: 'Publish it by Bitstring Status List v1.0: u, then base64url of gzip, of 16 KiB to 1 MiB.',
  },
  CITY_BUNDLE_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The city bundle cannot be used, so the one that is held stays',
    todo: "Get it from the city again; compare the city's key with checks.cityDid.",
  },
  BUNDLE_ROLLBACK: {
    status: 409,
    act: 'refuse',
    title: 'The city bundle is older than the one that is held',
    todo: 'Bring the newest one; find out who brought the old one: it may hide a revocation.',
  },
  BUNDLE_CONFLICT: {
    status: 409,
    act: 'refuse',
    title: 'The city signed two bundles under one version',
    todo: 'Ask the city to publish with a higher version; keep both, they prove it.',
  },
  NO_BUNDLE: {
    status: 503,
    act: 'retry',
    title: 'There is no city bundle that vouches for this gateway, so no vehicle is challenged',
    todo: 'Bring the newest city bundle (checks.bundleFile, checks.bundleUrl, POST /checks/bundle); it must name the DID and origin of this gateway.',
  },
  GATE_UNKNOWN: {
    status: 404,
    act: 'refuse',
    title: 'There is no such gate here, or it is not for that',
    todo: 'See checks.gates in the config: their names, zones and purposes.',
  },
  CHECKS_OFF: {
    status: 409,
    act: 'refuse',
    title: 'This gateway checks no vehicles',
    todo: 'Set checks.cityDid to the DID of the city, and checks.gates.',
  },
  CHECKS_BUSY: {
    status: 503,
    act: 'retry',
    title: 'As many vehicles are being checked, or waited for, as the cap allows',
    todo: 'Ask again in a moment; if it goes on, raise the cap named.',
  },
  CHECK_TIMEOUT: {
    status: 504,
    act: 'retry',
    title: 'No vehicle answered in time, so there is no decision',
    todo: 'Treat it as no: ask again when there is a vehicle at the gate.',
  },
  FAKE_GATEWAY: {
    status: 403,
    act: 'refuse',
    title: 'This is not a gateway of the city, so the vehicle tells it nothing',
    todo: 'If it is one: renew its credential in the city bundle, and compare its origin, zone and clock with it.',
  },
  // --- the gateway itself ---------------------------------------------------------------------
  USAGE: { status: 400, act: 'fatal', title: 'The command line is not right', todo: 'See --help.' },
  DATA_FORMAT: {
    status: 500,
    act: 'fatal',
    title: 'The database has another data format than this version of the program',
    todo: 'A later one: install the later version again, or put the copy in its place that was kept before the upgrade (edge.db.format-N-...). An earlier one: start the gateway, which upgrades it.',
  },
  BACKUP_INVALID: {
    status: 500,
    act: 'refuse',
    title: 'The backup is not whole, or could not be made',
    todo: 'Make it again, with room for two copies of the database where it is written; of a file that was damaged take another copy.',
  },
  RESTORE_REFUSED: {
    status: 409,
    act: 'refuse',
    title: 'There is data where the backup would be restored',
    todo: 'See what is there (--dry-run says it). With --force it is moved aside, into a folder before-...; nothing is deleted.',
  },
  CONFIG_ROLLED_BACK: {
    status: 500,
    act: 'retry',
    title: 'The gateway could not come up with the config, and runs with the last good one',
    todo: 'Put right what the detail says and apply it (sejong-edge config apply), or take the last good one (sejong-edge config rollback).',
  },
  CONFIG_NO_FILE: {
    status: 409,
    act: 'refuse',
    title: 'This gateway was not started with a config file',
    todo: 'Start one with sejong-edge run --config FILE; npm start makes its own config.',
  },
  RESTART_UNATTENDED: {
    status: 409,
    act: 'refuse',
    title: 'Nobody would start the gateway again',
    todo: 'Stop it and start it yourself, or run it under systemd or with --supervise.',
  },
  CONFIG_INVALID: {
    status: 500,
    act: 'fatal',
    title: 'The config is not valid',
    todo: 'Correct the line named; sejong-edge init writes a commented example.',
  },
  PROFILE_INVALID: {
    status: 500,
    act: 'fatal',
    title: 'A profile is not valid',
    todo: 'Correct the line named and try it with sejong-edge profiles check FILE; sejong-edge profiles show prints one that is right.',
  },
  PROFILE_UNKNOWN: {
    status: 404,
    act: 'refuse',
    title: 'There is no such profile',
    todo: 'See GET /profiles, or sejong-edge profiles list; those of your own lie in profiles.folder.',
  },
  PORT_TAKEN: {
    status: 500,
    act: 'fatal',
    title: 'A port that the gateway needs is in use or not allowed',
    todo: 'Stop the other program, or choose another port (0 takes any free one).',
  },
  KEY_UNREADABLE: {
    status: 500,
    act: 'fatal',
    title: 'A key file cannot be used',
    todo: 'Check the path, its owner, its mode (0600) and the passphrase; the gateway never makes a new key in place of one it cannot read.',
  },
  KEY_FIXED: {
    status: 409,
    act: 'fatal',
    title: 'This key is not one to rotate',
    todo: 'See sejong-edge keys --help for those that are.',
  },
  CERTIFICATE_INVALID: {
    status: 500,
    act: 'fatal',
    title: 'A TLS certificate cannot be used',
    todo: 'Give a certificate in PEM (its own first), the key that belongs to it, and in caFile the CA of the clients; see mqtt.tls and http.tls.',
  },
  NODE_VERSION: {
    status: 500,
    act: 'fatal',
    title: 'This Node.js is too old',
    todo: 'Run through npm (npm start), which brings Node 24, or install Node 24.',
  },
  DATA_UNUSABLE: {
    status: 500,
    act: 'fatal',
    title: 'The data folder cannot be used',
    todo: 'Choose a folder that this user may write to (dataFolder in the config, or --data).',
  },
  DATA_IN_USE: {
    status: 500,
    act: 'fatal',
    title: 'Another gateway uses this data folder',
    todo: 'Stop it first, or choose another folder with --data.',
  },
  STORE_DAMAGED: {
    status: 500,
    act: 'fatal',
    title: 'The database is damaged',
    todo: 'It is set aside under a new name at the next start, nothing is deleted, and a new epoch of the log begins; keep the file: sejong-edge salvage makes receipts from it.',
  },
  STORE_OTHER_LOG: {
    status: 500,
    act: 'fatal',
    title: 'The database belongs to another log',
    todo: 'Set log.origin and the keys to those that the data folder was made with, or use an empty folder.',
  },
  CHAIN_WRONG: {
    status: 500,
    act: 'fatal',
    title: 'The chain is not the one in the config',
    todo: 'Correct chain.rpc, chain.chainId, chain.anchors or chain.devices; the gateway sends nothing until they agree.',
  },
  CHAIN_AWAY: {
    status: 503,
    act: 'retry',
    title: 'The chain does not answer',
    todo: 'Readings are accepted all the same; the newest checkpoint is anchored when the chain is back.',
  },
  CHAIN_REFUSED: {
    status: 502,
    act: 'retry',
    title: 'The chain refused a transaction',
    todo: 'Read the named reason; fund the sending account, or have it registered for this origin.',
  },
  REGISTRY_FULL: {
    status: 507,
    act: 'retry',
    title: 'The registry on the chain has more events than the cap allows',
    todo: 'Devices are judged by the table as it stands. Look who registers so much, or raise chain.maxRegistryEvents.',
  },
  CREDITS_FULL: {
    status: 507,
    act: 'retry',
    title: 'The credits and trades on the chain have more events than the cap allows',
    todo: 'What became of certificates is told by the table as it stands. Raise chain.maxCreditEvents, or set chain.creditsFromBlock to a later block where nothing of ours is before it.',
  },
  REGISTRY_FILE_INVALID: {
    status: 500,
    act: 'fatal',
    title: "The city's registry file cannot be used",
    todo: 'One line of JSON for each device, {"did": ..., "salt": 64 hex digits}, in a file of mode 0600; see chain.devicesFile.',
  },
  LOG_BEHIND_CHAIN: {
    status: 500,
    act: 'refuse',
    title: 'The log is behind, or differs from, what the chain holds for it',
    todo: 'Nothing is signed under this origin any more, and a new epoch of the log takes the readings. To go on with the old one: stop, put the newest copy of the data folder back (keep this one), start.',
  },
  CHAIN_PROGRAM: {
    status: 500,
    act: 'fatal',
    title: 'The embedded chain did not start',
    todo: 'Run npm ci again, or point chain.rpc to a chain of your own.',
  },
  FLOWS_PROGRAM: {
    status: 500,
    act: 'fatal',
    title: 'Node-RED is not installed here',
    todo: 'Run npm ci again, or start without it (npm start -- --no-flows).',
  },
  FLOWS_CRASHED: {
    status: 503,
    act: 'retry',
    title: 'Node-RED ended by itself; readings are taken all the same',
    todo: 'Look at the flow that was deployed last: one that loops for ever, throws, or keeps all that it gets. After three crashes within ten minutes no flow is started before somebody deploys. Where its port is taken, give it another one (flows.port).',
  },
  FLOWS_SAFE_MODE: {
    status: 503,
    act: 'retry',
    title: 'Node-RED runs in safe mode: the editor is up, and no flow runs',
    todo: 'Open the editor, repair or disable the flow that crashed, and deploy.',
  },
  SERIAL_AWAY: {
    status: 503,
    act: 'retry',
    title: 'A serial port cannot be used',
    todo: 'Check the cable, the path and the group (dialout); the gateway keeps trying.',
  },
  SERIAL_VALUE: {
    status: 502,
    act: 'retry',
    title: 'A serial device gave no usable value',
    todo: 'Nothing was recorded for this poll; check wiring, address and model if it goes on.',
  },
  LOG_UNREADABLE: {
    status: 502,
    act: 'retry',
    title: 'A log does not serve what it signed',
    todo: 'Try again; if it goes on, keep its checkpoints: a log owes everybody the tiles of each of them.',
  },
  FRAUD_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The file proves no fraud',
    todo: 'A fraud proof is what sejong-edge fraud --out writes; read it with the key of the log that it is about.',
  },
  CSV_INVALID: {
    status: 400,
    act: 'fatal',
    title: 'The CSV file cannot be read',
    todo: 'Give UTF-8 with commas and a header: kind, sub, and any of did, label, owner, capacityW, energySource, registerModulusWh.',
  },
  AUDIT_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'What is said of an action is not what the log has',
    todo: 'Keep both: the entry was signed when it happened, and its salt and content lie beside the log, where they can be changed.',
  },
  RECEIPT_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The receipt does not prove its entry',
    todo: 'Fetch the receipt again from the gateway; if it fails again, keep both: one of them is evidence.',
  },
  // --- certificates and credits ----------------------------------------------------------------
  CREDITS_OFF: {
    status: 409,
    act: 'refuse',
    title: 'This gateway makes no certificates',
    todo: 'Give it a chain with a Credits contract: chain.credits, or the embedded chain.',
  },
  CREDIT_NOT_MINTED: {
    status: 409,
    act: 'retry',
    title: 'The certificate has no credits on the chain',
    todo: 'See its state and code (GET /certificates/{id}); one that is ready or sent is minted with the next batch.',
  },
  CREDIT_NOT_HELD: {
    status: 409,
    act: 'refuse',
    title: "The credits are not in the gateway's account",
    todo: 'Who holds them must claim them: only the holder of a credit can burn it.',
  },
  CREDIT_NOT_ENOUGH: {
    status: 409,
    act: 'refuse',
    title: 'Less is left of the certificate',
    todo: 'Claim at most what is left: wh less claimedWh.',
  },
  EVIDENCE_INCOMPLETE: {
    status: 409,
    act: 'refuse',
    title: 'The readings do not suffice for this report',
    todo: 'Choose a period at whose ends each meter was read, within 15 minutes, by the same meter and in anchored entries.',
  },
  CREDIT_NOT_WITHDRAWN: {
    status: 409,
    act: 'refuse',
    title: 'The certificate is not one that waits after a withdrawal',
    todo: 'Withdraw the day first, and give the id of its next version (GET /certificates?state=ready).',
  },
  CREDIT_OTHER_READINGS: {
    status: 409,
    act: 'refuse',
    title: 'The chain certified that hour with other readings',
    todo: 'What the chain holds counts (GET /certificates/{id} says how much). Whoever minted it has the proof of it.',
  },
  CREDIT_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The certificate does not hold',
    todo: 'Fetch its file again from the gateway; if it fails again, keep both: one of them is evidence.',
  },
  CREDIT_REFUSED: {
    status: 409,
    act: 'refuse',
    title: 'The contract of credits does not take this',
    todo: "The words in the detail are the contract's own (contracts/src/ICredits.sol says what each means).",
  },
  CREDITS_BUSY: {
    status: 503,
    act: 'retry',
    title: 'Transactions before this one are not through yet',
    todo: 'Try again when the chain takes transactions again; /health says what is the matter with it.',
  },
  CREDIT_REGISTER_FELL: {
    status: 422,
    act: 'refuse',
    title: 'The register went down, and no modulus explains it',
    todo: 'Enrol where the register begins anew (registerModulusWh), or say that the meter was swapped: POST /devices/{did}/replace.',
  },
  CREDIT_OVER_CAPACITY: {
    status: 422,
    act: 'refuse',
    title: 'More energy than the rated power gives in that time, and 5 %',
    todo: 'Compare the registered capacity (capacityW) with the plant; a plant that was enlarged is enrolled anew.',
  },
  CREDIT_CAPACITY_UNKNOWN: {
    status: 422,
    act: 'refuse',
    title: 'Nobody said how much the plant can give',
    todo: 'Enrol the meter with capacityW: no certificate is made without a cap.',
  },
  CREDIT_CUSTODY: {
    status: 422,
    act: 'refuse',
    title: 'The gateway holds the key of this meter, so it makes no certificates',
    todo: 'Use a meter that signs by itself: no energy that nobody but the gateway vouches for.',
  },
  CREDIT_METER_REVOKED: {
    status: 422,
    act: 'refuse',
    title: 'The meter is revoked, so nothing is certified that it signed',
    todo: 'Swap the meter before you revoke it, if what it measured until then is to count.',
  },
  CREDIT_EPOCH_UNKNOWN: {
    status: 422,
    act: 'refuse',
    title: 'The metering point has another meter already, and nobody said that this one took over',
    todo: 'Say it, with the final and the initial register: POST /devices/{did}/replace.',
  },
  CREDIT_SWAP_UNREAD: {
    status: 422,
    act: 'refuse',
    title: 'Two meters share this time, and a register of the swap was not read, so its energy is not known',
    todo: 'Nothing: that energy is lost. Read both registers when a meter is swapped.',
  },
  CREDIT_SWAP_CONTRADICTED: {
    status: 422,
    act: 'refuse',
    title: 'The registers that were written down at the swap contradict what the meters signed',
    todo: 'Compare them with the two readings named; what is certified rests on signed readings alone.',
  },
  CREDIT_TIME: {
    status: 422,
    act: 'refuse',
    title: 'The reading says that it is of a time that had not come when it was received',
    todo: "Set the meter's clock; what it measured with the wrong time is certified no more.",
  },
  CREDIT_REC_UNKNOWN: {
    status: 422,
    act: 'refuse',
    title: 'The table of weights has none for this plant',
    todo: 'Name a class that the table has (edge/credits/rec/weights.yaml), or add it there with its legal source.',
  },
  CREDIT_NO_GRADE: {
    status: 422,
    act: 'refuse',
    title: 'This gateway states no ZEB grade',
    todo: 'Ask for the evidence without a grade; the certifying body grades a building, by more than its meters.',
  },
  BUNDLE_INVALID: {
    status: 400,
    act: 'refuse',
    title: 'The bundle is not whole',
    todo: 'Export it again, or ask for a copy; the entries in it can still be verified one by one as receipts.',
  },
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof table;
export const ERRORS: Readonly<Record<ErrorCode, Row>> = Object.freeze(table);

/** An error from the table. `detail` says what was wrong and where, in this case. */
export class EdgeError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  constructor(code: ErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${ERRORS[code].title}: ${detail}`, options);
    this.name = 'EdgeError';
    this.code = code;
    this.detail = detail;
  }
  get act(): Row['act'] {
    return ERRORS[this.code].act;
  }
  get status(): number {
    return ERRORS[this.code].status;
  }
  /** One line for a terminal: what was wrong, where, and what to do. */
  get line(): string {
    const { title, todo } = ERRORS[this.code];
    return `${this.code}: ${title}: ${this.detail}. ${todo}`;
  }
}

/** The one-line form of anything that was thrown. */
export const errorLine = (error: unknown): string =>
  error instanceof EdgeError ? error.line : error instanceof Error ? error.message : String(error);
