/** What the config says of one DLMS meter, pull and push: address, client, passwords and keys. */
import { createHash } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { EdgeError } from '../../errors.ts';
import type { Setup } from '../driver.ts';
import { encodeAddress } from './hdlc.ts';
import { Counters, type Keys, keyOf } from './security.ts';
import type { Security } from './session.ts';

const SecretsSchema = (roles: readonly [string, string][]) =>
  Type.Optional(
    Type.Object(
      Object.fromEntries(roles.map(([role, description]) => [role, Type.Optional(Type.String({ description }))])),
      { additionalProperties: false, description: 'Names in the keystore.' },
    ),
  );

const KEYS: [string, string][] = [
  ['encryption', 'Global unicast encryption key (GUEK): 16 bytes, or 32 hex digits.'],
  ['authentication', 'Global authentication key (GAK): 16 bytes, or 32 hex digits.'],
];

export const PullDevice = Type.Object(
  {
    address: Type.Optional(
      Type.Union([Type.Integer({ minimum: 0, maximum: 0x3fff }), Type.String({ pattern: '^\\d{1,5}(/\\d{1,5})?$' })], {
        description: 'Logical device, or logical and physical device as 1/17. Without it 1.',
      }),
    ),
    addressBytes: Type.Optional(
      Type.Union([Type.Literal(1), Type.Literal(2), Type.Literal(4)], {
        description: 'Bytes of the address on the line. Without it the fewest that it fits.',
      }),
    ),
    client: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 127, description: 'Client address: 16 is the public client (without it).' }),
    ),
    systemTitle: Type.Optional(
      Type.String({
        pattern: '^[0-9a-fA-F]{16}$',
        description: 'Our own system title, for ciphering: 16 hex digits. No other client of the meter has the same.',
      }),
    ),
    mechanism: Type.Optional(
      Type.Union([Type.Literal('low'), Type.Literal('gmac')], {
        description:
          'How we prove who we are: low, by secrets.password where it is set (without it); gmac, by both keys.',
      }),
    ),
    secrets: SecretsSchema([['password', 'Password of low security.'], ...KEYS]),
  },
  { additionalProperties: false },
);
export const PushDevice = Type.Object({ secrets: SecretsSchema(KEYS) }, { additionalProperties: false });

export type PullDevice = Omit<Static<typeof PullDevice>, 'secrets'> & {
  secrets?: { password?: string; encryption?: string; authentication?: string };
};
export type PushDevice = { secrets?: { encryption?: string; authentication?: string } };

const wrong = (why: string): EdgeError => new EdgeError('CONFIG_INVALID', why);

/** @throws EdgeError CONFIG_INVALID */
export function addressOf({ address = 1, addressBytes }: PullDevice): Uint8Array {
  const [upper = 1, lower] = String(address).split('/').map(Number);
  try {
    return encodeAddress({ upper, lower }, addressBytes);
  } catch (error) {
    throw wrong(`devices[].address: ${(error as Error).message}`);
  }
}

/** Both keys, or none. @throws EdgeError */
export function keysOf(setup: Setup<unknown, PushDevice>): Keys | undefined {
  const { encryption, authentication } = setup.device.secrets ?? {};
  if (encryption === undefined && authentication === undefined) return undefined;
  if (encryption === undefined || authentication === undefined)
    throw wrong('devices[].secrets: encryption and authentication go together, one of them is missing');
  const key = (name: string) => {
    try {
      return keyOf(setup.secret(name));
    } catch (error) {
      if (error instanceof RangeError) throw wrong(`devices[].secrets: ${name} ${error.message}`);
      throw error;
    }
  };
  return { encryption: key(encryption), authentication: key(authentication) };
}

/** @throws EdgeError CONFIG_INVALID */
export function securityOf(setup: Setup<unknown, PullDevice>): Security | undefined {
  const keys = keysOf(setup);
  const high = setup.device.mechanism === 'gmac';
  if (keys === undefined && high) throw wrong('devices[].options.mechanism gmac needs both keys in secrets');
  if (keys === undefined) return undefined;
  const { systemTitle } = setup.device;
  // No default: two gateways with one title and one key would say two things with one nonce.
  if (systemTitle === undefined)
    throw wrong('devices[].options.systemTitle is missing: with keys it must say our own system title, 16 hex digits');
  const title = Uint8Array.from(Buffer.from(systemTitle, 'hex'));
  // One sequence for each key and title, whatever devices share them.
  const name = `dlms-${createHash('sha256').update(keys.encryption).update(title).digest('hex').slice(0, 16)}`;
  return {
    keys,
    systemTitle: title,
    counters: new Counters(keys, (name) => setup.mark(name)),
    nextCounter: (above) => setup.nextNumber(name, above),
    high,
  };
}

/** @throws EdgeError */
export function passwordOf(setup: Setup<unknown, PullDevice>): Uint8Array | undefined {
  const name = setup.device.secrets?.password;
  if (name === undefined) return undefined;
  const bytes = setup.secret(name);
  // A file that an editor wrote ends with a line end, which is no part of it.
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 10 || bytes[end - 1] === 13)) end--;
  if (end === 0 || end > 64) throw wrong(`devices[].secrets: ${name} is no password of 1 to 64 bytes`);
  return bytes.slice(0, end);
}
