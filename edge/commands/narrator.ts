/** What the demo says while it runs: plain lines, so that they read the same in a terminal and in a file. */
import type { Gateway } from '../gateway.ts';
import { LOCAL } from '../people.ts';
import { keyTypeOf } from '../wire/did.ts';
import { signInLink } from './console.ts';
import type { District } from './district.ts';
import type { CheckLine } from './gate.ts';

const EVERY_MS = 5_000;
/** How long whoever opens the link of the demo stays signed in, in seconds. */
const DEMO_SESSION_S = 7 * 86_400;
const n = (x: number): string => x.toLocaleString('en-US');

const certified = (of: { certificates: number; mintedWh: number } | undefined): string =>
  of ? `, ${n(of.certificates)} certificates of ${n(of.mintedWh)} Wh` : '';

export class Narrator {
  #timer: NodeJS.Timeout | undefined;
  readonly #toldCodes = new Set<string>();
  #toldAnchor = 0;
  #checks = 0;

  say(line: string): void {
    console.log(`${new Date().toISOString().slice(11, 19)}  ${line}`);
  }

  introduce({ info, parts, sessions }: Gateway): void {
    const size = parts.log.size;
    this.say(
      size > 1
        ? `log     ${parts.log.origin}, continued at ${n(size)} entries`
        : `log     ${parts.log.origin}, begun with its genesis entry`,
    );
    this.say(`key     ${parts.log.verifierKey}`);
    if (info.rpc) this.say(`chain   ${info.rpc}, contract ${info.anchors}`);
    this.say(`mqtt    ${info.mqtt}   devices publish to up/{did}/cose or up/{did}/senml`);
    this.say(`http    ${info.http}   /health /metrics /log/checkpoint, API at ${info.http}/docs`);
    // Whoever sees this terminal owns the demo. A link is good once; sejong-edge console makes another.
    const { code } = sessions.makeCode({ name: 'owner', role: 'operator', seconds: DEMO_SESSION_S, by: LOCAL });
    this.say(`console ${signInLink(info.http, code)}   good once, for 10 minutes; then: npm run edge -- console`);
    this.#toldAnchor = parts.anchorer?.transactions.list(1, Number.MAX_SAFE_INTEGER)[0]?.id ?? 0;
  }

  /** Who is enrolled, and with which keys. */
  census({ parts }: Gateway): void {
    const own = parts.devices.list().filter((d) => d.custody === 'device');
    const p256 = own.filter((d) => keyTypeOf(d.did) === 'P-256');
    const kinds = Map.groupBy(p256, (d) => d.kind);
    const some = Array.from(kinds, ([kind, { length }]) => `${n(length)} ${kind}${length === 1 ? '' : 's'}`);
    this.say(
      `devices ${n(own.length)} sign for themselves: ${n(own.length - p256.length)} with Ed25519 (z6Mk...), ${n(p256.length)} with P-256 (zDn...${some.length > 0 ? `: ${some.join(', ')}` : ''})`,
    );
  }

  /** @param summary of certificates, where there are any */
  watch(
    gateway: Gateway,
    district: District,
    summary: (() => { certificates: number; mintedWh: number }) | undefined,
  ): void {
    const { parts } = gateway;
    let before = parts.log.size;
    this.#timer = setInterval(() => {
      this.#anchors(gateway);
      this.#refusals(gateway);
      const size = parts.log.size;
      const { acked, buffered } = district.progress;
      this.say(
        `entries ${n(size)} (+${n(size - before)}), checkpoint ${n(parts.log.latest?.size ?? 0)}, anchored ${n(parts.anchorer?.state.headSize ?? 0)}, ` +
          `${parts.mqtt.connected} connected, serial ${n(parts.serialEntries())}, devices have ${n(acked)} acknowledged and ${n(buffered)} waiting, quarantine ${n(parts.quarantine.held)}, ${n(this.#checks)} vehicles came to the gate${certified(summary?.())}`,
      );
      before = size;
    }, EVERY_MS);
  }

  #anchors({ parts }: Gateway): void {
    for (const t of parts.anchorer?.transactions.list(20, Number.MAX_SAFE_INTEGER).reverse() ?? []) {
      if (t.id <= this.#toldAnchor || t.block === null) continue;
      this.#toldAnchor = t.id;
      this.say(
        `anchor  ${n(t.size)} entries in block ${t.block}, ${n(t.gasUsed ?? 0)} gas, transaction ${t.hashes.at(-1)}`,
      );
    }
  }

  /** One of each kind is enough to see; the rest is counted. */
  #refusals({ parts }: Gateway): void {
    for (const q of parts.quarantine.list(50, Number.MAX_SAFE_INTEGER).reverse()) {
      if (this.#toldCodes.has(q.code)) continue;
      this.#toldCodes.add(q.code);
      this.say(`refused ${q.code} from ...${q.did.slice(-8)}: ${q.detail}; it lies in quarantine`);
    }
  }

  /** Why each bad vehicle was caught; of the good ones the first, the rest is counted. */
  check({ scenario, says, decision, reason, expected, ok }: CheckLine): void {
    this.#checks++;
    const good = ok && decision === 'ALLOW';
    if (good && this.#toldCodes.has(scenario)) return;
    this.#toldCodes.add(scenario);
    const what = decision === 'NONE' ? `the vehicle says nothing, ${reason}` : `${decision} ${reason}`;
    this.say(`check   ${what}: ${says}${ok ? '' : `; ${expected} WAS EXPECTED`}`);
  }

  end(): void {
    clearInterval(this.#timer);
    this.say('stopped');
  }
}
