/** A certificate from the meter to the chain and back: its file against a real node, and a chain that says otherwise. */
import { describe, expect, it } from 'vitest';
import type { CertificateRowView } from '../../edge/api/credit-views.ts';
import { parseFile, type SignedFile, signFile } from '../../edge/credits/certificate-file.ts';
import { verifyCertificate } from '../../edge/verify-certificate.ts';
import { chainChecks } from '../../edge/verify-certificate-chain.ts';
import type { TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import { GATEWAY } from './certificate-rig.ts';
import { startMinting, TestPlant } from './rig-gateway.ts';

const listed = async (gateway: TestGateway, query = ''): Promise<CertificateRowView[]> =>
  ((await gateway.api(`/certificates${query}`)).body as { certificates: CertificateRowView[] }).certificates;

async function verify(gateway: TestGateway, bytes: Uint8Array, pinned: { credits?: string; anchors?: string } = {}) {
  const { rpc } = gateway.parts.crediting!.places!;
  const lines: string[] = [];
  const key = gateway.parts.log.verifierKey;
  const failed = await verifyCertificate(bytes, { key }, chainChecks(rpc, pinned), ({ name, detail }) =>
    lines.push(`${name}: ${detail}`),
  );
  return { failed, lines };
}

describe('a certificate on a real chain', { timeout: 120_000 }, () => {
  it('is minted, claimed, exported and verified from the claim back to the meter, with the chain', async () => {
    const gateway = await startMinting();
    const plant = await TestPlant.at(gateway);
    await plant.read([0, 1000, 5], [1, 1412, -7], [2, 2000]);
    await until(async () => (await listed(gateway, '?state=minted')).length === 2, 'both hours minted', 60_000);
    const [first] = await listed(gateway);
    expect(first).toMatchObject({ wh: 412, state: 'minted' });
    const { id } = first!;
    const claim = { purpose: 'k-re100', wh: 400, beneficiary: 'A Bakery' };
    const claimed = await gateway.api(`/certificates/${id}/claim`, { method: 'POST', body: claim });
    expect(claimed.status, claimed.text).toBe(200);
    await until(async () => (await listed(gateway, '?claimed=true')).length === 1, 'the claim in a block', 60_000);

    const file = async () => Buffer.from((await gateway.api(`/certificates/${id}/file`)).text);
    const { credits } = gateway.parts.crediting!.places!;
    const bytes = await file();
    const { failed, lines } = await verify(gateway, bytes, { credits });
    expect(failed, lines.join('\n')).toBeUndefined();
    expect(lines.slice(-4).map((l) => l.split(':')[0])).toEqual([
      ...['anchored root', 'slot on the chain', 'mint transaction', 'claim transactions'],
    ]);
    expect(lines.find((l) => l.startsWith('slot on the chain'))).toContain('412 Wh, 400 claimed');

    // A gateway that signs what the chain never said.
    const { format: _format, made: _made, proof: _proof, ...honest } = parseFile(bytes);
    const lie = async (bend: (file: typeof honest) => void) => {
      const bent = structuredClone(honest);
      bend(bent);
      const signed: SignedFile = signFile(bent, GATEWAY, Date.now());
      return verifyChainOnly(gateway, signed);
    };
    expect(
      await lie((f) => {
        f.claims[0]!.beneficiary = `0x${'ab'.repeat(32)}`;
      }),
    ).toBe('claim transactions');
    expect(
      await lie((f) => {
        f.claims[0]!.wh = 12;
      }),
    ).toBe('claim transactions');
    expect(
      await lie((f) => {
        f.claims[0]!.wh = 401;
      }),
    ).toBe('slot on the chain');
    expect(
      await lie((f) => {
        f.mint.owner = f.mint.contract;
      }),
    ).toBe('mint transaction');
    expect(
      await lie((f) => {
        f.mint.block++;
      }),
    ).toBe('mint transaction');
    expect(
      await lie((f) => {
        f.mint.transaction = f.claims[0]!.transaction;
      }),
    ).toBe('mint transaction');
    expect(
      await lie((f) => {
        f.anchor.contract = f.mint.contract;
      }),
    ).toBe('anchored root');
    expect((await verify(gateway, bytes, { credits: ELSEWHERE })).failed).toBe('slot on the chain');

    // Withdrawn: what was a certificate is none any more, and the chain says so.
    const withdrawn = await gateway.api(`/certificates/${id}/withdraw`, { method: 'POST', body: { reason: 'a test' } });
    expect(withdrawn.status, withdrawn.text).toBe(200);
    await until(async () => (await listed(gateway, '?state=withdrawn')).length === 2, 'both hours withdrawn', 60_000);
    const after = await verify(gateway, bytes);
    expect(after.failed).toBe('slot on the chain');
    expect(after.lines.at(-1)).toContain('withdrawn');

    // Certified anew: nothing goes out by itself. What was claimed of the hour before is taken off.
    const next = id.replace('-v0', '-v1');
    await until(
      async () => (await listed(gateway, '?state=ready')).length === 2,
      'both hours wait as version 1',
      60_000,
    );
    const again = await gateway.api(`/certificates/${next}/reissue`, { method: 'POST', body: {} });
    expect(again.body, again.text).toMatchObject({ id: next, version: 1, state: 'ready' });
    await until(async () => (await listed(gateway, '?state=minted')).length === 2, 'both hours minted again', 60_000);
    const left = (await gateway.api(`/certificates/${next}/claim`, { method: 'POST', body: { ...claim, wh: 13 } }))
      .body;
    expect(left).toMatchObject({ code: 'CREDIT_NOT_ENOUGH', detail: expect.stringContaining('12 of 412') });
    const corrected = Buffer.from((await gateway.api(`/certificates/${next}/file`)).text);
    const whole = await verify(gateway, corrected);
    expect(whole.failed, whole.lines.join('\n')).toBeUndefined();
    expect((await gateway.finish()).audits.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['credit.claim', 'credit.withdraw', 'credit.reissue']),
    );
  });
});

const ELSEWHERE = `0x${'f0'.repeat(20)}`;

/** The first step of those that ask the chain that says no. */
async function verifyChainOnly(gateway: TestGateway, file: SignedFile): Promise<string | undefined> {
  const { log, crediting } = gateway.parts;
  const { size } = file.credential.credentialSubject.meter.log!;
  const checkpoint = { origin: log.origin, size, root: log.checkpointOfSize(size)!.root };
  for (const { name, run } of chainChecks(crediting!.places!.rpc))
    try {
      await run(file, checkpoint);
    } catch {
      return name;
    }
  return undefined;
}
