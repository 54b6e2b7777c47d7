/** "Why this many Wh?": two registers, their entries, the root and the anchor, as the gateway tells them. */
import type { WhyView } from '../../api/credit-views.ts';
import { number } from '../format.ts';
import { href } from '../router.ts';
import { Fact, Facts, Id, Time } from '../ui/index.ts';
import { useWords } from '../words.ts';
import words from './credit.words.ts';

export function Why({ why, wh }: { why: WhyView; wh: number }) {
  const w = useWords(words);
  const { start, end, root } = why;
  const register = (label: string, { read, register, wh, entry }: WhyView['start'], sign: string) => (
    <div class="register">
      <span class="register-label">{label}</span>
      <span class="register-wh num">
        <span class="register-sign" aria-hidden="true">
          {sign}
        </span>
        {number(wh)} <small>Wh</small>
      </span>
      <span class="muted">
        <code>{register}</code> · {w.readAt} <Time ms={Date.parse(read)} />
      </span>
      <a href={href('entry', entry)}>{w.entry(number(entry))}</a>
    </div>
  );
  return (
    <div class="why">
      <div class="registers">
        {register(w.atEnd, end, '')}
        {register(w.atStart, start, '−')}
        <div class="register result">
          <span class="register-label">{w.difference}</span>
          <span class="register-wh num">
            <span class="register-sign" aria-hidden="true">
              =
            </span>
            {number(wh)} <small>Wh</small>
          </span>
          <code class="muted">{why.arithmetic}</code>
          {why.rule === 'rollover' && why.modulusWh !== null && (
            <span>{w.rollover(`${number(why.modulusWh)} Wh`)}</span>
          )}
          {why.shape === 'profile' && <span>{w.profile}</span>}
        </div>
      </div>
      <Facts>
        <Fact label={w.cap}>
          {why.capWh === null ? w.capUnknown : `${number(why.capWh)} Wh`}
          {why.capWh !== null && <span class="muted"> · {w.capWhy}</span>}
        </Fact>
        <Fact label={w.root}>
          {root ? (
            <>
              <Id value={root.root} head={10} tail={4} /> <span class="muted">{w.rootOf(number(root.size))}</span>
            </>
          ) : (
            w.noRoot
          )}
        </Fact>
        {root?.anchor && (
          <Fact label={w.anchor}>
            <Id value={root.anchor.transaction} />{' '}
            <span class="muted">{w.inBlock(number(root.anchor.block), String(root.anchor.chainId))}</span>
          </Fact>
        )}
      </Facts>
    </div>
  );
}
