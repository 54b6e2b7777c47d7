/** Being a witness: every status code that C2SP tlog-witness names, and what must hold when things go wrong. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { Store } from '../../edge/store/store.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { Witness, type WitnessAnswer } from '../../edge/witness/witness.ts';
import { start } from '../support/cli.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';
import { checkCosignature, wholeTruth } from '../support/whole-truth.ts';
import { PlainLog, submit, type WitnessReply } from './rig.ts';

const log = new PlainLog('log.example/a');
const fork = new PlainLog('log.example/a', { forkAt: 4 });

const problemOf = ({ status, type, text }: WitnessReply): [number, string] => {
  expect(type).toMatch(/^application\/problem\+json/);
  return [status, (JSON.parse(text) as { code: string }).code];
};
const isSize = (reply: WitnessReply, size: number): void =>
  expect(reply).toEqual({ status: 409, type: 'text/x.tlog.size', text: `${size}\n` });

async function witnessOf(logs: PlainLog[], over = {}): Promise<{ gateway: TestGateway; vkey: string }> {
  const gateway = await startTestGateway({
    witness: { logs: logs.map(({ key, origin }) => ({ key, origin })), maxRate: 1000, ...over },
  });
  const { text, headers } = await gateway.api('/witness/key', { token: null });
  expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
  return { gateway, vkey: text.trimEnd() };
}

/** 200, and exactly one line, which holds by the words of the specification. Answers its time. */
function isCosigned(reply: WitnessReply, body: string, vkey: string): number {
  expect([reply.status, reply.text], reply.text).toEqual([200, expect.stringMatching(/^— [^\n]+\n$/u)]);
  return checkCosignature(reply.text, body, vkey);
}

describe('a witness', () => {
  it('cosigns what it sees first, and what grew from there by proof; it asks for a proof from where it is', async () => {
    const { gateway, vkey } = await witnessOf([log]);
    expect(vkey).toMatch(/^sejong\.example\/edge-1\/witness\+[0-9a-f]{8}\+B/);
    const before = Math.floor(Date.now() / 1000);
    const first = isCosigned(await submit(gateway, log.request(0, 5)), log.body(5), vkey);
    expect(first).toBeGreaterThanOrEqual(before);
    for (const old of [0, 3, 6, 7]) isSize(await submit(gateway, log.request(old, 7)), 5);
    const second = isCosigned(await submit(gateway, log.request(5, 7)), log.body(7), vkey);
    expect(second).toBeGreaterThanOrEqual(first);
    // The same again: it is still the largest that it has seen.
    isCosigned(await submit(gateway, log.request(7, 7)), log.body(7), vkey);
    isSize(await submit(gateway, log.request(5, 7)), 7);
    isCosigned(await submit(gateway, log.request(7, 513)), log.body(513), vkey);
    await gateway.finish();
  });

  it('answers 404 for an origin that it does not know, with whatever signature', async () => {
    const { gateway } = await witnessOf([log]);
    const other = new PlainLog('log.example/b');
    expect(problemOf(await submit(gateway, other.request(0, 5)))).toEqual([404, 'WITNESS_LOG_UNKNOWN']);
    const note = `${other.body(5)}\n${log.line(other.body(5))}`;
    expect(problemOf(await submit(gateway, other.request(0, 5, note)))).toEqual([404, 'WITNESS_LOG_UNKNOWN']);
    await gateway.finish();
  });

  it('answers 403 without a signature by a trusted key, or with one that does not verify', async () => {
    const { gateway, vkey } = await witnessOf([log]);
    const body = log.body(5);
    const stranger = new PlainLog('log.example/a', { seed: 'stranger' });
    for (const lines of [
      stranger.line(body),
      new PlainLog('log.example/z').line(body),
      log.line(log.body(6)),
      log.line(body) + log.line(log.body(6)), // signed-note: one that is wrong spoils it
    ])
      expect(problemOf(await submit(gateway, log.request(0, 5, `${body}\n${lines}`)))).toEqual([
        403,
        'WITNESS_UNSIGNED',
      ]);
    // Signatures of unknown keys are ignored.
    const many = stranger.line(body) + log.line(body) + new PlainLog('log.example/z').line(body);
    isCosigned(await submit(gateway, log.request(0, 5, `${body}\n${many}`)), body, vkey);
    await gateway.finish();
  });

  it('answers 400 for an old size above the size, and for what is no request at all', async () => {
    const { gateway } = await witnessOf([log]);
    expect(problemOf(await submit(gateway, `old 6\n\n${log.note(5)}`))).toEqual([400, 'REQUEST_INVALID']);
    for (const body of [
      '',
      'old 0\n',
      `old 0\n\n${log.body(5)}`,
      log.request(0, 5).slice(0, -1),
      log.request(0, 5).replace('\n5\n', '\n05\n'),
      `old 0\n\n${log.origin}\n5\n\n${log.line(log.body(5))}`,
    ])
      expect(problemOf(await submit(gateway, body)), body).toEqual([400, 'REQUEST_INVALID']);
    const [status] = problemOf(await submit(gateway, 'A'.repeat(200_000)));
    expect(status).toBe(413);
    await gateway.finish();
  });

  it('takes any content type, and none, since the specification names none', async () => {
    const { gateway, vkey } = await witnessOf([log]);
    for (const type of ['text/plain', 'application/octet-stream', 'application/json', 'a/b; c=d'])
      isCosigned(
        await submit(gateway, log.request(type === 'text/plain' ? 0 : 5, 5), { 'content-type': type }),
        log.body(5),
        vkey,
      );
    isCosigned(await submit(gateway, Buffer.from(log.request(5, 6))), log.body(6), vkey);
    await gateway.finish();
  });

  it('answers 422 for a proof that does not lead there, and keeps the checkpoint in case it is evidence', async () => {
    const { gateway } = await witnessOf([log]);
    expect(problemOf(await submit(gateway, log.request(0, 5, undefined, log.proof(3, 5))))).toEqual([
      422,
      'WITNESS_UNPROVEN', // a proof from nothing is empty
    ]);
    await submit(gateway, log.request(0, 5));
    const proof = log.proof(5, 9);
    for (const bad of [[], proof.slice(1), proof.slice(0, -1), [...proof, proof[0] as string], [...proof].reverse()])
      expect(problemOf(await submit(gateway, log.request(5, 9, undefined, bad)))).toEqual([422, 'WITNESS_UNPROVEN']);
    expect(problemOf(await submit(gateway, log.request(5, 5, undefined, proof)))).toEqual([422, 'WITNESS_UNPROVEN']);
    // The other history, with its own proof, which is from another root of 5.
    expect(problemOf(await submit(gateway, fork.request(5, 9)))).toEqual([422, 'WITNESS_UNPROVEN']);
    const { evidence } = (await gateway.api('/witness/evidence')).body as { evidence: object[] };
    expect(evidence).toMatchObject([
      { origin: log.origin, kind: 'unproven', held: log.note(5), note: fork.note(9), times: 1 },
      { origin: log.origin, kind: 'unproven', held: log.note(5), note: log.note(9), times: 5 },
    ]);
    // Anybody could have sent these: they are no verdict.
    expect(gateway.health()).toMatchObject({ parts: { witness: { ok: true } } });
    isSize(await submit(gateway, log.request(0, 6)), 5);
    await gateway.finish();
  });

  it('refuses a second root of one size with 409, keeps both as evidence, and says so until a person looks', async () => {
    const { gateway } = await witnessOf([log]);
    await submit(gateway, log.request(0, 9));
    expect(gateway.health().parts.witness).toEqual({ ok: true, detail: 'witness of 1 logs' });
    expect(problemOf(await submit(gateway, fork.request(9, 9)))).toEqual([409, 'WITNESS_SPLIT_VIEW']);
    // From whatever size it asks: the contradiction is in the two signatures.
    isSize(await submit(gateway, fork.request(0, 9)), 9);
    const { evidence } = (await gateway.api('/witness/evidence')).body as { evidence: object[] };
    expect(evidence).toMatchObject([{ kind: 'split', held: log.note(9), note: fork.note(9), times: 2 }]);
    expect(gateway.lines.filter((l) => /WITNESS_SPLIT_VIEW.*log\.example\/a/.test(l))).toHaveLength(1);
    const health = gateway.health();
    expect(health.status).toBe('degraded');
    expect(health.parts.witness).toMatchObject({ ok: false, detail: expect.stringContaining('log.example/a') });
    const { text } = await gateway.api('/metrics', { token: null });
    expect(text).toContain('sejong_edge_witness_evidence{origin="log.example/a",kind="split"} 1\n');
    expect(text).toContain('sejong_edge_cosign_refused_total{code="WITNESS_SPLIT_VIEW"} 1\n');
    expect(text).toContain('sejong_edge_cosigned_size{origin="log.example/a"} 9\n');
    await gateway.finish();
  });

  it('keeps a bounded heap of evidence, however many other histories a log signs', async () => {
    const { gateway } = await witnessOf([log]);
    await submit(gateway, log.request(0, 9));
    for (let i = 0; i < 9; i++)
      for (const other of [new PlainLog('log.example/a', { forkAt: i })])
        for (const size of [9, 10, 11]) await submit(gateway, other.request(9, size));
    const { evidence } = (await gateway.api('/witness/evidence')).body as { evidence: { kind: string }[] };
    expect(evidence.filter(({ kind }) => kind === 'split')).toHaveLength(9);
    expect(evidence.filter(({ kind }) => kind === 'unproven')).toHaveLength(16);
    await gateway.finish();
  });

  it('begins at the empty tree, whose root is one', async () => {
    const { gateway, vkey } = await witnessOf([log]);
    isCosigned(await submit(gateway, log.request(0, 0)), log.body(0), vkey);
    const wrong = log.body(0).replace(/\n[^\n]+\n$/, `\n${'A'.repeat(43)}=\n`);
    expect(problemOf(await submit(gateway, `old 0\n\n${wrong}\n${log.line(wrong)}`))).toEqual([
      409,
      'WITNESS_SPLIT_VIEW',
    ]);
    isCosigned(await submit(gateway, log.request(0, 3)), log.body(3), vkey);
    isSize(await submit(gateway, log.request(0, 0)), 3);
    await gateway.finish();
  });

  it('knows logs apart, takes any of the keys of one, a name that is not its origin, and extension lines', async () => {
    const second = new PlainLog('log.example/a', { seed: 'its next key' });
    const named = new PlainLog('key.example', { origin: 'an origin with spaces' });
    const { gateway, vkey } = await witnessOf([log, second, named]);
    isCosigned(await submit(gateway, log.request(0, 5)), log.body(5), vkey);
    isCosigned(await submit(gateway, named.request(0, 3)), named.body(3), vkey);
    isCosigned(await submit(gateway, second.request(5, 6)), log.body(6), vkey);
    const extended = log.body(7, 'extension\n');
    isCosigned(await submit(gateway, log.request(6, 7, log.note(7, 'extension\n'))), extended, vkey);
    // The same tree with another extension is cosigned over its own text.
    isCosigned(await submit(gateway, log.request(7, 7, log.note(7, 'other\n'))), log.body(7, 'other\n'), vkey);
    isSize(await submit(gateway, named.request(0, 4)), 3);
    await gateway.finish();
  });

  it('gives one of many that ask at once for one log its cosignature, and the others the size that it has now', async () => {
    const { gateway, vkey } = await witnessOf([log]);
    await submit(gateway, log.request(0, 2));
    let held = 2;
    for (let round = 0; round < 5; round++) {
      const sizes = Array.from({ length: 8 }, (_, i) => held + 1 + ((i * 5 + round) % 8));
      const replies = await Promise.all(sizes.map((size) => submit(gateway, log.request(held, size))));
      const won = replies.findIndex(({ status }) => status === 200);
      isCosigned(replies[won] as WitnessReply, log.body(sizes[won] as number), vkey);
      held = sizes[won] as number;
      for (const [i, reply] of replies.entries()) if (i !== won) isSize(reply, held);
    }
    await gateway.finish();
  });

  it('holds what it held after a restart', async () => {
    const { gateway, vkey } = await witnessOf([log]);
    await submit(gateway, log.request(0, 5));
    await gateway.finish();
    const { dataFolder, witness } = gateway.config;
    const again = await startTestGateway({ dataFolder, witness });
    isSize(await submit(again, log.request(0, 5)), 5);
    expect(problemOf(await submit(again, fork.request(5, 5)))).toEqual([409, 'WITNESS_SPLIT_VIEW']);
    isCosigned(await submit(again, log.request(5, 8)), log.body(8), vkey);
    await again.finish();
  });

  it('holds what it held where its own log was damaged and begins anew: only another witness may forget', async () => {
    const { gateway, vkey } = await witnessOf([log]);
    await submit(gateway, log.request(0, 5));
    await submit(gateway, fork.request(5, 5));
    await gateway.finish();
    const { dataFolder, witness } = gateway.config;
    const db = new Database(join(dataFolder, 'edge.db'));
    db.exec('UPDATE checkpoints SET root = zeroblob(32)');
    db.close();
    const again = await startTestGateway({ dataFolder, witness });
    expect(again.parts.epoch.number).toBe(2);
    expect(again.parts.log.origin).not.toBe(gateway.parts.log.origin);
    isSize(await submit(again, log.request(0, 5)), 5);
    expect(problemOf(await submit(again, fork.request(5, 5)))).toEqual([409, 'WITNESS_SPLIT_VIEW']);
    expect(again.parts.witness.evidence.list(10, 1e9)).toMatchObject([{ kind: 'split', note: fork.note(5), times: 2 }]);
    isCosigned(await submit(again, log.request(5, 8)), log.body(8), vkey);
    await again.finish();
  });

  it('gives no cosignature that it could not write down', async () => {
    const { gateway, vkey } = await witnessOf([log]);
    await submit(gateway, log.request(0, 5));
    const db = new Database(join(gateway.config.dataFolder, 'edge.db'));
    onTestFinished(() => {
      db.close();
    });
    db.exec("CREATE TRIGGER full BEFORE UPDATE ON witnessed BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    expect(problemOf(await submit(gateway, log.request(5, 7)))).toEqual([503, 'STORE_UNAVAILABLE']);
    isSize(await submit(gateway, log.request(0, 7)), 5);
    db.exec('DROP TRIGGER full');
    isCosigned(await submit(gateway, log.request(5, 7)), log.body(7), vkey);
    await gateway.finish();
  });

  it('killed before it wrote, after it wrote, and before it answered: what was persisted is held, and can be asked for again', async () => {
    const folder = tempFolder();
    const config = join(folder, 'edge.yaml');
    writeFileSync(
      config,
      `mqtt: {port: 0}\nhttp: {port: 0}\nchain: {mode: none}\nwitness: {logs: [{key: "${log.key}"}]}\n`,
    );
    const run = async (faults: string) => {
      const gateway = start(process.execPath, ['edge/main.ts', 'run', '--config', config], {
        env: { SEJONG_EDGE_FAULTS: faults },
      });
      return { ...gateway, info: JSON.parse(await gateway.line(/"msg":"ready"/)) as TestGateway['info'] };
    };
    const dies = async (gateway: Awaited<ReturnType<typeof run>>, body: string): Promise<void> => {
      await expect(submit(gateway, body)).rejects.toThrow();
      await gateway.stop();
      expect(gateway.child.signalCode).toBe('SIGKILL');
    };
    let gateway = await run('witness.before=kill@1');
    await dies(gateway, log.request(0, 3));
    gateway = await run('witness.after=kill@1');
    await dies(gateway, log.request(0, 3)); // nothing was held
    gateway = await run('witness.persisted=kill@1');
    isSize(await submit(gateway, log.request(0, 3)), 3); // now it is
    await dies(gateway, log.request(3, 6));
    gateway = await run('');
    isSize(await submit(gateway, log.request(3, 6)), 6);
    expect(problemOf(await submit(gateway, fork.request(6, 6)))).toEqual([409, 'WITNESS_SPLIT_VIEW']);
    const vkey = (await (await fetch(`${gateway.info.http}/witness/key`)).text()).trimEnd();
    isCosigned(await submit(gateway, log.request(6, 6)), log.body(6), vkey);
    expect(await gateway.stop()).toBe(0);
    wholeTruth(join(folder, 'data'));
  });
});

describe('the witness behind its route', () => {
  const secret = new Uint8Array(32).fill(3);
  async function open(over: { maxRate?: number } = {}) {
    const store = await Store.open(join(tempFolder(), 'edge.db'));
    onTestFinished(() => store.close());
    let nowMs = 1_700_000_000_000;
    const witness = new Witness(store, {
      name: 'w.example',
      publicKey: publicKeyOf(secret),
      sign: (message) => signEd25519(message, secret),
      logs: [{ origin: log.origin, key: parseVerifierKey(log.key) }],
      maxRate: over.maxRate ?? 1_000_000,
      nowMs: () => nowMs,
      report: () => undefined,
    });
    const ask = (text: string | Uint8Array): Promise<WitnessAnswer> => witness.addCheckpoint(Buffer.from(text));
    return { witness, ask, setClock: (ms: number) => (nowMs = ms) };
  }
  const timeOf = (answer: WitnessAnswer, size: number, witness: Witness): number =>
    checkCosignature((answer as { cosigned: string }).cosigned, log.body(size), witness.verifierKey);

  it('never dates a cosignature before the last one of that log, whatever the clock does', async () => {
    const { witness, ask, setClock } = await open();
    expect(timeOf(await ask(log.request(0, 1)), 1, witness)).toBe(1_700_000_000);
    setClock(1_800_000_000_999);
    expect(timeOf(await ask(log.request(1, 2)), 2, witness)).toBe(1_800_000_000);
    setClock(-5);
    expect(timeOf(await ask(log.request(2, 3)), 3, witness)).toBe(1_800_000_000);
    expect(timeOf(await ask(log.request(3, 3)), 3, witness)).toBe(1_800_000_000);
    setClock(1_800_000_002_000);
    expect(timeOf(await ask(log.request(3, 3)), 3, witness)).toBe(1_800_000_002);
  });

  it('gives no more than its rate of one log, and costs nothing for the same within a second', async () => {
    const { witness, ask } = await open({ maxRate: 1 });
    const first = await ask(log.request(0, 1));
    for (let i = 0; i < 20; i++) expect(await ask(log.request(1, 1))).toEqual(first);
    expect(witness.counts.cosigned).toBe(1);
    await expect(ask(log.request(1, 2))).rejects.toMatchObject({ code: 'WITNESS_BUSY', status: 429 });
    expect(witness.held(log.origin)?.size).toBe(1);
    const many = await Promise.allSettled(Array.from({ length: 40 }, () => ask(log.request(0, 5))));
    expect(many.filter((r) => r.status === 'fulfilled')).toHaveLength(16);
  });

  it('survives any bytes, and is moved by nothing but a proven checkpoint', async () => {
    const { witness, ask } = await open();
    await ask(log.request(0, 5));
    const valid = Buffer.from(log.request(5, 9));
    const foreign = Buffer.from(fork.request(5, 9));
    const mutated = fc
      .tuple(
        fc.constantFrom(valid, foreign),
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.constantFrom('flip', 'cut', 'double', 'newline')), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.nat(7),
      )
      .map(([base, edits, bit]) => {
        let bytes = Buffer.from(base);
        for (const [at, edit] of edits) {
          const head = bytes.subarray(0, at);
          const tail = bytes.subarray(at + 1);
          const own = bytes.subarray(at, at + 1);
          if (edit === 'cut') bytes = Buffer.concat([head, tail]);
          else if (edit === 'double') bytes = Buffer.concat([head, own, own, tail]);
          else if (edit === 'newline') bytes = Buffer.concat([head, Buffer.from('\n'), tail]);
          else bytes = Buffer.concat([head, Buffer.of((own[0] ?? 0) ^ (1 << bit)), tail]);
        }
        return bytes;
      });
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), async (bytes) => {
        if (Buffer.compare(Buffer.from(bytes), valid) === 0) return;
        const answer = await ask(bytes).catch((error: { code: string }) => error.code);
        expect([
          'REQUEST_INVALID',
          'WITNESS_LOG_UNKNOWN',
          'WITNESS_UNSIGNED',
          'WITNESS_UNPROVEN',
          JSON.stringify({ held: 5 }),
        ]).toContain(typeof answer === 'string' ? answer : JSON.stringify(answer));
        expect(witness.held(log.origin)?.size).toBe(5);
      }),
      { numRuns: 400, seed: 3 },
    );
    expect(await ask(valid)).toHaveProperty('cosigned');
  });
});
