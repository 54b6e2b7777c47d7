import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeConfig } from '../edge/config.ts';
import { openIdentity } from '../edge/identity.ts';
import { Keystore } from '../edge/keystore.ts';
import { tempFolder } from './support/temp.ts';

const chosen = { passphrase: 'correct horse battery staple', random: false };
const saltOf = (folder: string): string => readFileSync(join(folder, 'salt'), 'utf8');
const unreadable = expect.objectContaining({ code: 'KEY_UNREADABLE' });

describe('a keystore', () => {
  it('keeps a key under the passphrase that a person chose, by scrypt, and gives it back to nobody else', () => {
    const folder = join(tempFolder(), 'keys');
    const key = Keystore.open(folder, chosen).loadOrCreate('log');
    expect(saltOf(folder)).toMatch(/^[0-9a-f]{64}$/);
    expect(Keystore.open(folder, chosen).load('log')).toEqual(key);
    // That it was random is the word of who made it; what is on disk decides.
    expect(Keystore.open(folder, { ...chosen, random: true }).load('log')).toEqual(key);
    const wrong = Keystore.open(folder, { ...chosen, passphrase: 'correct horse battery stable' });
    expect(() => wrong.load('log')).toThrow(unreadable);
    expect(() => wrong.loadOrCreate('log'), 'none is made in its place').toThrow(unreadable);
  });

  it('refuses a key file that others can read, that was changed, or that has another key name', () => {
    const folder = join(tempFolder(), 'keys');
    const store = Keystore.open(folder, chosen);
    store.loadOrCreate('log');
    const path = join(folder, 'log.key');
    chmodSync(path, 0o640);
    expect(() => store.load('log')).toThrow(/mode 640/);
    chmodSync(path, 0o600);
    const text = readFileSync(path, 'utf8');
    writeFileSync(join(folder, 'anchor.key'), text, { mode: 0o600 });
    expect(() => store.load('anchor')).toThrow(unreadable);
    const file = JSON.parse(text) as { data: string };
    const data = Buffer.from(file.data, 'base64');
    data[0] = (data[0] as number) ^ 1;
    writeFileSync(path, JSON.stringify({ ...file, data: data.toString('base64') }));
    expect(() => store.load('log')).toThrow(unreadable);
    expect(() => Keystore.open(folder, { passphrase: 'short', random: false })).toThrow(unreadable);
  });

  it('does not stretch the 192 random bits that the gateway made for itself, and opens again with them', () => {
    const dataFolder = tempFolder();
    const config = makeConfig({ dataFolder });
    const first = openIdentity(config);
    const keys = join(dataFolder, 'keys');
    expect(saltOf(keys)).toMatch(/^light:[0-9a-f]{64}$/);
    expect(openIdentity(config).did).toBe(first.did);
    // The same passphrase from elsewhere opens it, another one does not.
    const elsewhere = join(tempFolder(), 'passphrase');
    writeFileSync(elsewhere, readFileSync(join(keys, 'passphrase')), { mode: 0o600 });
    const at = (passphraseFile: string) => makeConfig({ dataFolder, keys: { passphraseFile } });
    expect(openIdentity(at(elsewhere)).did).toBe(first.did);
    writeFileSync(elsewhere, 'somebody else', { mode: 0o600 });
    expect(() => openIdentity(at(elsewhere))).toThrow(unreadable);
  });

  it('takes a passphrase that lies beside the keys before there are any for a chosen one', () => {
    const dataFolder = tempFolder();
    const keys = join(dataFolder, 'keys');
    Keystore.open(keys, chosen); // makes the folder and the salt
    writeFileSync(join(keys, 'passphrase'), chosen.passphrase, { mode: 0o600 });
    expect(openIdentity(makeConfig({ dataFolder })).did).toMatch(/^did:key:z6Mk/);
    expect(saltOf(keys)).toMatch(/^[0-9a-f]{64}$/);
  });
});
