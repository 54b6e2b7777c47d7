import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { CertificateRowView, SlotsView } from '../../edge/api/credit-views.ts';
import { commitment } from '../../edge/chain/commitment.ts';
import type { BuildingEvidence } from '../../edge/credits/building.ts';
import { certificateSchema } from '../../edge/credits/certificate.ts';
import { gsrnOf } from '../../edge/credits/gsrn.ts';
import { verifyBuilding } from '../../edge/verify-building.ts';
import { addProof, verifyProof } from '../../edge/wire/vc/proof.ts';
import { GATEWAY, steps } from '../credits/certificate-rig.ts';
import { TestDevice } from '../support/gateway.ts';
import { CREDITS, DAY, HOUR, hash, idOf, OURS, SLOT, startRig, THEIRS, tokenOf } from './certificates-rig.ts';

describe('certificates over HTTP', () => {
  it('lists them by hour, with what the chain says of each, and page by page', async () => {
    const { plant, ask, listed } = await startRig();
    const all = await listed();
    expect(all).toHaveLength(12);
    expect(all.map((c) => c.slot)).toEqual([...all.map((c) => c.slot)].sort((a, b) => a - b));
    expect(all.find((c) => c.id === idOf(plant, 0))).toMatchObject({
      ...{ meteringPoint: plant.sub, device: plant.did, start: '2026-11-24T03:00:00Z', end: '2026-11-24T04:00:00Z' },
      ...{ wh: 400, claimedWh: 0, state: 'minted', flags: ['night'], owner: OURS, code: null },
      transaction: { chainId: 31_337, contract: CREDITS, hash: hash('first mint'), block: 101 },
    });
    const paged: string[] = [];
    let after = '';
    for (;;) {
      const { body } = await ask(`/certificates?limit=5${after}`);
      const { certificates, next } = body as { certificates: CertificateRowView[]; next: string | null };
      paged.push(...certificates.map((c) => c.id));
      if (next === null) break;
      after = `&after=${next}`;
    }
    expect(paged).toEqual(all.map((c) => c.id));
  });

  it('filters by metering point, device, state, hour and claim', async () => {
    const { plant, other, ask, listed, onItsWay } = await startRig();
    onItsWay.add(`${commitment(plant.sub)} ${SLOT + 3 * HOUR}`);
    const ids = async (query: string) => (await listed(query)).map((c) => c.id);
    const of = (device: TestDevice, ...hours: number[]) => hours.map((n) => idOf(device, n));
    expect(await ids(`?meteringPoint=${plant.sub}`)).toEqual(of(plant, 0, 1, 2, 3, 4, 5));
    expect(await ids(`?device=${other.did}&to=2026-11-24T05:00:00Z`)).toEqual(of(other, 0, 1));
    expect(await ids(`?meteringPoint=${plant.sub}&from=2026-11-24T07:00:00Z`)).toEqual(of(plant, 4, 5));
    expect(await ids('?state=minted')).toHaveLength(4);
    expect(await ids('?state=sent')).toEqual(of(plant, 3));
    expect(await ids(`?state=ready&meteringPoint=${plant.sub}`)).toEqual(of(plant, 4, 5));
    expect(await ids('?state=ready&limit=1')).toHaveLength(1);
    expect(await ids('?state=refused')).toEqual(of(other, 5));
    expect(await ids('?claimed=true')).toEqual([]);
    expect((await ask(`/certificates?device=${new TestDevice('nobody').did}`)).body).toMatchObject({
      code: 'DEVICE_UNKNOWN',
    });
    for (const bad of [
      '?state=lost',
      '?limit=0',
      '?after=x',
      '?from=yesterday',
      '?colour=red',
      '?from=2026-12-31T23:59:60Z',
    ])
      expect((await ask(`/certificates${bad}`)).body, bad).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
  });

  it('gives CSV for spreadsheets, in which nothing is a formula', async () => {
    const { ask } = await startRig();
    const { headers, text } = await ask('/certificates?format=csv');
    expect(headers.get('content-type')).toMatch(/^text\/csv/);
    const lines = text.split('\r\n');
    expect(lines[0]).toMatch(/^id,version,meteringPoint,device,start,end,wh,/);
    expect(lines).toHaveLength(14);
    expect(text).toContain(`"'=1+1, ""quoted"""`);
  });

  it('says why: two registers, their entries, the root, the arithmetic', async () => {
    const { gateway, plant, other, ask } = await startRig();
    const { body } = await ask(`/certificates/${idOf(plant, 1)}`);
    const { why, certificate } = body as { why: { start: { entry: number; receipt: string } }; certificate: object };
    const { log } = gateway.parts;
    expect(why).toMatchObject({
      ...{ rule: 'difference', arithmetic: '1000801 - 1000400 = 401 Wh', shape: 'reading', capWh: 1050 },
      start: { boundary: '2026-11-24T04:00:00Z', read: '2026-11-24T04:00:01Z', register: '1-0:2.8.0', wh: 1_000_400 },
      end: { wh: 1_000_801 },
      root: { origin: log.origin, size: log.latest?.size, anchor: { block: 99 } },
    });
    const { entry, receipt } = why.start;
    expect(gateway.parts.entries.get(entry)?.seq).toBe(1);
    expect((await gateway.api(receipt)).status).toBe(200);
    expect(certificate).toMatchObject({
      identity: { id: idOf(plant, 1), supersedes: null },
      meter: { gsrn: gsrnOf(plant.sub), registerEpoch: 1, quality: { clock: 'synced' } },
    });
    const refused = (await ask(`/certificates/${idOf(other, 5)}`)).body as { why: { rule: string; text: string } };
    expect(refused.why).toMatchObject({ rule: 'CREDIT_INVALID' });
    expect((await ask(`/certificates/${idOf(plant, 9)}`)).body).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('gives the file that verifies without any of this; not of what is not minted', async () => {
    const { gateway, plant, ask } = await startRig();
    const { text, headers } = await ask(`/certificates/${idOf(plant, 2)}/file`);
    expect(headers.get('content-disposition')).toContain(`${idOf(plant, 2)}.json`);
    const key = gateway.parts.log.verifierKey;
    const { failed, lines } = await steps(Buffer.from(text), { issuer: GATEWAY.did, key });
    expect(failed, lines.join('\n')).toBeUndefined();
    const no = await ask(`/certificates/${idOf(plant, 5)}/file`);
    expect(no.body).toMatchObject({ status: 409, code: 'CREDIT_NOT_MINTED', detail: expect.stringContaining('ready') });
  });

  it('says so where somebody minted an hour with other readings, and gives no file that would not hold', async () => {
    const { gateway, plant, ask } = await startRig();
    const event = gateway.parts.store.get<{ data: string }>("SELECT data FROM credit_events WHERE event = 'Minted'");
    const { amounts, firstSlot } = JSON.parse(event?.data ?? '') as { amounts: number[]; firstSlot: number };
    const id = idOf(plant, (firstSlot - SLOT) / HOUR);
    expect((await ask(`/certificates/${id}/file`)).status).toBe(200);
    const sql = "UPDATE credit_events SET data = json_set(data, '$.amounts[0]', ?) WHERE event = 'Minted'";
    await gateway.parts.store.write({ statements: [{ sql, params: [(amounts[0] as number) + 5] }] });
    expect((await ask(`/certificates/${id}`)).body).toMatchObject({
      state: 'minted',
      detail: `minted by somebody as ${(amounts[0] as number) + 5} Wh, with other readings of this hour`,
    });
    expect((await ask(`/certificates/${id}/file`)).body).toMatchObject({ code: 'CREDIT_OTHER_READINGS' });
  });

  it('claims: an entry of the audit, the name hashed with a salt that is told once', async () => {
    const { plant, ask, deeds, calls } = await startRig();
    const id = idOf(plant, 0);
    const body = { wh: 100, beneficiary: 'A Bakery in Jochiwon', purpose: 'k-re100' };
    const { status, body: said, text } = await ask(`/certificates/${id}/claim`, { body });
    expect(status, text).toBe(200);
    const { beneficiary, salt, transaction, wh } = said as {
      beneficiary: string;
      salt: string;
      transaction: { hash: string };
      wh: number;
    };
    const salted = Buffer.concat([Buffer.from(salt, 'hex'), Buffer.from(body.beneficiary)]);
    expect(beneficiary).toBe(`0x${createHash('sha256').update(salted).digest('hex')}`);
    expect(wh).toBe(100);
    const line = { meteringPoint: commitment(plant.sub), slot: SLOT, wh: 100 };
    expect(calls.at(-1)).toEqual(['claim', [line], beneficiary, 1, '']);
    expect(deeds.at(-1)).toMatchObject({
      ...{ action: 'credit.claim', on: id, by: { role: 'operator' } },
      detail: { wh: 100, purpose: 'k-re100', beneficiary, transaction: transaction.hash },
    });
    const kept = JSON.stringify([deeds, calls]);
    expect(kept).not.toContain('Bakery');
    expect(kept).not.toContain(salt);
    const twice = (await ask(`/certificates/${id}/claim`, { body })).body as { salt: string; beneficiary: string };
    expect(twice.beneficiary).not.toBe(beneficiary);
  });

  it('says who holds them, that they are not minted, or how much is left', async () => {
    const { plant, other, ask, addClaim, balances } = await startRig();
    const claim = (id: string, body: object) => ask(`/certificates/${id}/claim`, { body });
    const purpose = 'own-use';
    const notOurs = (await claim(idOf(other, 0), { purpose })).body as { detail: string };
    expect(notOurs).toMatchObject({ status: 409, code: 'CREDIT_NOT_HELD' });
    expect(notOurs.detail).toContain(THEIRS);
    balances.set(tokenOf(plant), 5n);
    const sold = (await claim(idOf(plant, 0), { purpose })).body as { detail: string };
    expect(sold).toMatchObject({ code: 'CREDIT_NOT_HELD', detail: expect.stringContaining('sold') });
    balances.set(tokenOf(plant), 1203n);
    expect((await claim(idOf(plant, 3), { purpose })).body).toMatchObject({ code: 'CREDIT_NOT_MINTED' });
    expect((await claim(idOf(plant, 0), { purpose, wh: 401 })).body).toMatchObject({ code: 'CREDIT_NOT_ENOUGH' });
    await addClaim(plant, SLOT + HOUR, 300, 'a claim');
    expect((await claim(idOf(plant, 1), { purpose, wh: 102 })).body).toMatchObject({
      code: 'CREDIT_NOT_ENOUGH',
      detail: expect.stringContaining('101 of 401'),
    });
    expect((await claim(idOf(plant, 1), { purpose })).body).toMatchObject({
      wh: 101,
      salt: null,
      beneficiary: `0x${'00'.repeat(32)}`,
    });
    for (const bad of [
      {},
      { purpose: 'sport' },
      { purpose, wh: 0 },
      { purpose, extra: 1 },
      { purpose: 'donation' },
      { purpose: 'storage-charge', beneficiary: 'urn:x:y' },
    ])
      expect((await claim(idOf(plant, 0), bad)).body, JSON.stringify(bad)).toMatchObject({ code: 'REQUEST_INVALID' });
    const viewer = await ask(`/certificates/${idOf(plant, 0)}/claim`, { body: { purpose }, role: 'viewer' });
    expect(viewer.status).toBe(403);
  });

  it('counts claims that are on their way against what is left', async () => {
    const { ask, plant, claiming } = await startRig();
    claiming.set(`${commitment(plant.sub)} ${SLOT}`, 390);
    const claim = (body: object) =>
      ask(`/certificates/${idOf(plant, 0)}/claim`, { body: { purpose: 'own-use', ...body } });
    expect((await claim({ wh: 11 })).body).toMatchObject({
      code: 'CREDIT_NOT_ENOUGH',
      detail: expect.stringContaining('10 of 400'),
    });
    expect((await claim({})).body).toMatchObject({ wh: 10 });
    const lock = { meteringPoint: plant.sub, class: 'land', confirmed: '2026-01-31', application: 'x' };
    expect((await ask('/rec/2026-11/lock', { body: lock })).body).toMatchObject({ code: 'CREDIT_NOT_ENOUGH' });
  });

  it('has a withdrawn day certified anew only in its next version, which waits', async () => {
    const { ask, plant, save, rowOf, calls, deeds } = await startRig();
    const no = await ask(`/certificates/${idOf(plant, 4)}/reissue`, { body: {} });
    expect(no.body).toMatchObject({ code: 'CREDIT_NOT_WITHDRAWN' });
    await save([{ ...rowOf.get(idOf(plant, 0))!, version: 1, id: idOf(plant, 0, 1) }]);
    expect((await ask(`/certificates/${idOf(plant, 0, 1)}/reissue`, { body: {} })).body).toMatchObject({
      version: 1,
      state: 'ready',
    });
    expect(calls).toEqual([['reissue', commitment(plant.sub), DAY / 86_400, 1]]);
    expect(deeds.at(-1)).toMatchObject({ action: 'credit.reissue', on: idOf(plant, 0, 1) });
  });

  it('shows claims with their transactions, and the file walks from them', async () => {
    const { plant, ask, listed, addClaim } = await startRig();
    await addClaim(plant, SLOT + HOUR, 300, 'a claim');
    const { body } = await ask(`/certificates/${idOf(plant, 1)}`);
    expect(body).toMatchObject({
      claimedWh: 300,
      claims: [
        {
          wh: 300,
          purpose: 'k-re100',
          holder: OURS,
          beneficiary: hash('somebody'),
          transaction: { hash: hash('a claim') },
        },
      ],
    });
    expect((await listed('?claimed=true')).map((c) => c.id)).toEqual([idOf(plant, 1)]);
    const { lines, failed } = await steps(Buffer.from((await ask(`/certificates/${idOf(plant, 1)}/file`)).text));
    expect(failed, lines.join('\n')).toBeUndefined();
    expect(lines[1]).toBe('claims: 300 of 401 Wh, in 1 transactions');
  });

  it('withdraws a day, with a reason, as an entry of the audit', async () => {
    const { plant, ask, deeds, calls } = await startRig();
    const { body } = await ask(`/certificates/${idOf(plant, 0)}/withdraw`, {
      body: { reason: 'the meter was read wrongly' },
    });
    expect(body).toMatchObject({ chainId: 31_337, block: 7 });
    expect(calls.at(-1)).toEqual(['withdraw', commitment(plant.sub), DAY / 86_400, 'the meter was read wrongly']);
    expect(deeds.at(-1)).toMatchObject({ action: 'credit.withdraw', on: idOf(plant, 0) });
    expect((await ask(`/certificates/${idOf(plant, 5)}/withdraw`, { body: { reason: 'x' } })).body).toMatchObject({
      code: 'CREDIT_NOT_MINTED',
    });
  });

  it('lists residuals, and trades', async () => {
    const { ask } = await startRig();
    const { body } = await ask('/residuals');
    expect(body).toMatchObject({ residuals: [{ wh: 1500, from: '2026-11-24T09:00:00Z', month: null, reason: 'gap' }] });
    expect((await ask('/trades')).body).toEqual({ trades: [] });
  });

  it('tells a day of Korean time hour by hour, with why an hour has none', async () => {
    const { ask, plant, other, addClaim } = await startRig();
    await addClaim(plant, SLOT, 150, 'a claim');
    const { body } = await ask('/slots?date=2026-11-24');
    const day = body as SlotsView;
    expect([day.from, day.until, day.next]).toEqual([SLOT - 12 * HOUR, SLOT + 12 * HOUR, null]);
    expect(day.points.map((p) => p.meteringPoint)).toEqual([plant.sub, other.sub]);
    const [point] = day.points as [SlotsView['points'][number]];
    expect(point).toMatchObject({ device: plant.did, kind: 'plant', capacityW: 1000 });
    expect(point.slots).toHaveLength(24);
    expect(point.slots[12]).toMatchObject({ slot: SLOT, state: 'minted', id: idOf(plant, 0), wh: 400, claimedWh: 150 });
    const said = point.slots.map(({ state, missing }) => missing ?? state);
    expect(said).toEqual([
      ...[...Array(11).fill('no-readings'), 'no-start'],
      ...['minted', 'minted', 'minted', 'ready', 'ready', 'ready'],
      ...[...Array(4).fill('residual'), 'no-readings', 'no-readings'],
    ]);
    expect(point.residuals).toMatchObject([{ wh: 1500, reason: 'gap' }]);
    const first = (await ask('/slots?date=2026-11-24&limit=1')).body as SlotsView;
    expect(first.next).toBe(plant.sub);
    const rest = (await ask(`/slots?date=2026-11-24&after=${plant.sub}`)).body as SlotsView;
    expect(rest.points).toEqual([day.points[1]]);
    expect(rest.points[0]?.slots[17]).toMatchObject({ state: 'refused', code: 'CREDIT_INVALID' });
    expect((await ask('/slots?date=2026-02-30')).body).toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('states a month of Korean time, which adds up', async () => {
    const { ask, plant, addClaim } = await startRig();
    await addClaim(plant, SLOT, 150, 'a claim');
    const { body } = await ask(`/statements/2026-11?meteringPoint=${plant.sub}`);
    expect(body).toMatchObject({
      ...{
        meteringPoint: plant.sub,
        gsrn: gsrnOf(plant.sub),
        generatedWh: 2415 + 1500,
        certifiedWh: 2415,
        unusableWh: 1500,
      },
      certified: { readyWh: 2415 - 1203, mintedWh: 1203, claimedWh: 150, leftWh: 1053, owedWh: 0 },
      hours: { all: 720, certified: 6 },
    });
    expect((await ask(`/statements/2026-12?meteringPoint=${plant.sub}`)).body).toMatchObject({ generatedWh: 0 });
    expect((await ask('/statements/2026-11?meteringPoint=urn:x:nobody')).body).toMatchObject({ code: 'NOT_FOUND' });
    expect((await ask(`/statements/2026-13?meteringPoint=${plant.sub}`)).body).toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });

  it('prepares an application for RECs, with what it would lock, and says that it is none', async () => {
    const { ask, plant, addClaim } = await startRig();
    await addClaim(plant, SLOT, 150, 'a claim');
    const path = `/rec/2026-11?meteringPoint=${plant.sub}&class=land&confirmed=2026-01-31`;
    const { status, body, text } = await ask(path);
    expect(status, text).toBe(200);
    expect(body).toMatchObject({
      ...{ statutory: false, month: '2026-11', weight: { value: '1.2000' } },
      energy: { certifiedWh: 1203, claimedWh: 150, appliedWh: 1053 },
      recs: { whole: '0', carriedOut: '0.0012636000' },
      deadline: { applyBy: '2027-02-28' },
    });
    expect((body as { notice: string }).notice).toMatch(/not a REC/);
    expect((body as { locks: { slot: number; wh: number }[] }).locks[0]).toMatchObject({ slot: SLOT, wh: 250 });
    expect((await ask(path.replace('land', 'moon'))).body).toMatchObject({ code: 'CREDIT_REC_UNKNOWN' });
    expect((await ask(path.replace('&class=land', ''))).body).toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('locks what an application uses, all or nothing', async () => {
    const { ask, plant, other, addClaim, calls, deeds, balances } = await startRig();
    await addClaim(plant, SLOT, 150, 'a claim');
    const lock = (meteringPoint: string, over: object = {}) =>
      ask('/rec/2026-11/lock', {
        body: { meteringPoint, class: 'land', confirmed: '2026-01-31', application: 'KEA-2026-0042', ...over },
      });
    balances.set(tokenOf(plant), 1052n);
    expect((await lock(plant.sub)).body).toMatchObject({ code: 'CREDIT_NOT_HELD' });
    expect((await lock(other.sub)).body).toMatchObject({ code: 'CREDIT_NOT_HELD' });
    expect(calls).toEqual([]);
    balances.set(tokenOf(plant), 1053n);
    const { body, text } = await lock(plant.sub);
    expect(body, text).toMatchObject({
      wh: 1053,
      transactions: [{ hash: hash('call 1') }],
      application: { statutory: false },
    });
    const meteringPoint = commitment(plant.sub);
    const lines = [250, 401, 402].map((wh, n) => ({ meteringPoint, slot: SLOT + n * HOUR, wh }));
    expect(calls).toEqual([['claim', lines, `0x${'00'.repeat(32)}`, 3, 'KEA-2026-0042']]);
    expect(deeds.at(-1)).toMatchObject({
      action: 'credit.rec-lock',
      on: plant.sub,
      detail: { wh: 1053, month: '2026-11' },
    });
    expect((await lock(plant.sub, { application: '' })).body).toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('gives the evidence of a building, whose receipts prove each register, sealed ones with what they are over', async () => {
    const { gateway, ask, plant, other, grid } = await startRig();
    const period = 'from=2026-11-24T03:00:00Z&to=2026-11-24T09:00:00Z';
    const path = `/evidence/building?generation=${plant.sub},${other.sub}&grid=${grid.sub}&${period}`;
    const { status, text } = await ask(path);
    expect(status, text).toBe(200);
    const evidence = JSON.parse(text) as BuildingEvidence;
    verifyProof(evidence, { did: GATEWAY.did, purpose: 'assertionMethod' });
    const made = 2 * 2415;
    expect(evidence.credentialSubject).toMatchObject({
      ...{ generationWh: made, importWh: 900, exportWh: 500, consumptionWh: made + 400 },
      selfSufficiency: (Math.floor(((made - 500) * 10_000) / (made + 400)) / 10_000).toFixed(4),
    });
    const key = gateway.parts.log.verifierKey;
    const broken = async (bytes: string, issuer?: string) => {
      const lines: string[] = [];
      const failed = await verifyBuilding(Buffer.from(bytes), { key, issuer }, ({ name, detail }) =>
        lines.push(`${name}: ${detail}`),
      );
      return { failed, lines };
    };
    const { failed, lines } = await broken(text, GATEWAY.did);
    expect(failed, lines.join('\n')).toBeUndefined();
    expect((await broken(text, plant.did)).failed).toBe('report proof');
    // A gateway that lies signs whatever it likes.
    const lie = async (bend: (report: BuildingEvidence) => void) => {
      const { proof: _proof, ...bent } = structuredClone(evidence);
      bend(bent as BuildingEvidence);
      const signed = addProof(bent, GATEWAY, { purpose: 'assertionMethod', created: bent.validFrom });
      return (await broken(JSON.stringify(signed))).failed;
    };
    expect(await lie((e) => e.receipts.at(0)!.path.reverse())).toBe('receipts');
    expect(
      await lie((e) => {
        e.credentialSubject.import.end.wh--;
      }),
    ).toBe('registers');
    expect(
      await lie((e) => {
        e.credentialSubject.generation[1] = e.credentialSubject.generation[0]!;
      }),
    ).toBe('registers');
    expect(
      await lie((e) => {
        e.credentialSubject.selfSufficiency = '1.0000';
      }),
    ).toBe('sums');
    expect((await broken(text.replace('"validFrom":"2', '"validFrom":"3'))).failed).toBe('report proof');
    expect((await ask(`${path}&grade=1`)).body).toMatchObject({ code: 'CREDIT_NO_GRADE' });
    expect((await ask(path.replace('T09', 'T10'))).body).toMatchObject({ code: 'EVIDENCE_INCOMPLETE' });
    expect((await ask(path.replace('T09', 'T02'))).body).toMatchObject({ code: 'REQUEST_INVALID' });
    expect((await ask(path.replace(grid.sub, 'urn:sejong:mp:nobody'))).body).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('publishes the JSON Schema to everybody', async () => {
    const { ask } = await startRig();
    const { status, headers, body } = await ask('/schemas/certificate.json', { role: null });
    expect([status, headers.get('content-type')]).toEqual([200, 'application/schema+json']);
    expect(body).toEqual(certificateSchema());
  });

  it('tells of each change over /events, and goes on where a reader stopped', async () => {
    const { gateway, url, plant, other, addMint, addClaim, save, rowOf } = await startRig();
    const read = async (wanted: number, work: () => Promise<void>, from?: string) => {
      const cut = new AbortController();
      const answer = await fetch(`${url}/events?kinds=certificate`, {
        signal: cut.signal,
        headers: {
          authorization: `Bearer ${await gateway.token('viewer')}`,
          ...(from === undefined ? {} : { 'last-event-id': from }),
        },
      });
      expect(answer.status).toBe(200);
      let text = '';
      const events: { place: string; data: CertificateRowView }[] = [];
      await work();
      for await (const chunk of answer.body as ReadableStream<Uint8Array>) {
        text += Buffer.from(chunk).toString();
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const m = /id: (.*)\nevent: certificate\ndata: (.*)$/.exec(text.slice(0, end));
          if (m) events.push({ place: m[1] as string, data: JSON.parse(m[2] as string) as CertificateRowView });
          text = text.slice(end + 2);
        }
        if (events.length >= wanted) break;
      }
      cut.abort();
      return events;
    };
    const [refused, ...minted] = await read(3, async () => {
      await save([
        {
          ...rowOf.get(idOf(other, 4))!,
          state: 'refused',
          code: 'CREDIT_INVALID',
          detail: 'x',
          madeMs: (SLOT + 9 * HOUR) * 1000,
        },
      ]);
      await addMint(plant, 3, 2, OURS, 'second mint');
    });
    expect(refused?.data).toMatchObject({ id: idOf(other, 4), state: 'refused' });
    expect(minted.map(({ data }) => [data.id, data.state])).toEqual([3, 4].map((n) => [idOf(plant, n), 'minted']));
    // Who stopped within a transaction hears of the whole of it again, and of nothing before it.
    const again = await read(2, async () => undefined, minted[0]?.place);
    expect(again.map(({ data }) => data.id)).toEqual([3, 4].map((n) => idOf(plant, n)));
    const one = await read(1, () => addClaim(plant, SLOT + 3 * HOUR, 4, 'another claim'), minted[1]?.place);
    expect(one[0]?.data).toMatchObject({ id: idOf(plant, 3), claimedWh: 4 });
  });

  it('tells of a group as a whole, however large, and again what a reorg has put in another place', async () => {
    const { plant, credits, save, rowOf, addMint } = await startRig();
    const like = rowOf.get(idOf(plant, 5))!;
    const first = credits.newest();
    const madeMs = first.madeMs + 1;
    const many = Array.from({ length: 30 }, (_, n) => ({
      ...like,
      slot: like.slot + (10 + n) * HOUR,
      id: idOf(plant, 15 + n),
      madeMs,
    }));
    await save(many);
    const told = credits.news(first, 7);
    expect(told.map(({ row }) => row.id)).toEqual(many.map(({ id }) => id));
    expect(told.slice(0, -1).every(({ place }) => place.madeMs === first.madeMs)).toBe(true);
    expect(told.at(-1)?.place.madeMs).toBe(madeMs);
    expect(credits.news(credits.newest(), 7)).toEqual([]);
    // The reader has come further than the chain is now: it went back, and on from there.
    const ahead = { ...credits.newest(), block: 1000 };
    expect(credits.news(ahead, 7)).toEqual([]);
    await addMint(plant, 3, 1, OURS, 'in another block');
    expect(credits.news({ ...credits.newest(), block: 1000 }, 7)).toEqual([]);
    expect(credits.news({ ...ahead, block: first.block }, 7).map(({ row }) => row.id)).toEqual([idOf(plant, 3)]);
  });

  it('gives no file of what was withdrawn', async () => {
    const { ask, plant, addWithdrawal } = await startRig();
    await addWithdrawal(plant);
    expect((await ask(`/certificates/${idOf(plant, 0)}`)).body).toMatchObject({ state: 'withdrawn' });
    expect((await ask(`/certificates/${idOf(plant, 0)}/file`)).body).toMatchObject({
      code: 'CREDIT_NOT_MINTED',
      detail: expect.stringContaining('withdrawn'),
    });
  });

  it('says so where there is no chain for them', async () => {
    const { gateway } = await startRig();
    expect((await gateway.api('/certificates')).body).toMatchObject({ status: 409, code: 'CREDITS_OFF' });
    expect((await gateway.api('/schemas/certificate.json')).status).toBe(200);
  });
});
