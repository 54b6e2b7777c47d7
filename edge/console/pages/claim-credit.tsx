/** Claims credits: a form that says what it burns, and an answer whose salt is seen once. */
import { useState } from 'preact/hooks';
import type { CertificateRowView, ClaimedView, ClaimPurpose } from '../../api/credit-views.ts';
import { post } from '../api.ts';
import { date, hourOf, number } from '../format.ts';
import { useDeed } from '../query.ts';
import { Dialog, Fact, Facts, Field, Id } from '../ui/index.ts';
import { lang, useWords } from '../words.ts';
import words from './claim-credit.words.ts';
import { PURPOSE_WORDS } from './credit.words.ts';

type Of = Pick<CertificateRowView, 'id' | 'slot' | 'wh' | 'claimedWh'>;

export function ClaimDialog({ of, onClose, onDone }: { of: Of | undefined; onClose: () => void; onDone: () => void }) {
  const w = useWords(words);
  const deed = useDeed();
  const [amount, setAmount] = useState('');
  const [purpose, setPurpose] = useState<ClaimPurpose>('own-use');
  const [who, setWho] = useState('');
  const [recipient, setRecipient] = useState('');
  const [sure, setSure] = useState(false);
  const [done, setDone] = useState<ClaimedView>();
  const left = of ? of.wh - of.claimedWh : 0;
  const wh = amount === '' ? left : Number(amount);
  const isWhole = Number.isInteger(wh) && wh >= 1 && wh <= left;
  const close = (): void => {
    const again = done !== undefined;
    setDone(undefined);
    setSure(false);
    for (const clear of [setAmount, setWho, setRecipient]) clear('');
    deed.clear();
    onClose();
    if (again) onDone();
  };
  const submit = (): void => {
    if (!of || !sure) return;
    const body = {
      purpose,
      ...(amount === '' ? {} : { wh }),
      ...(who.trim() === '' ? {} : { beneficiary: who.trim() }),
      ...(recipient.trim() === '' ? {} : { recipient: recipient.trim() }),
    };
    void deed.run(async () => setDone(await post<ClaimedView>(`/certificates/${of.id}/claim`, body)));
  };
  const shown = `${number(wh)} Wh`;
  if (done)
    return (
      <Dialog open title={w.done} onClose={close}>
        <p>{w.doneWhy(`${number(done.wh)} Wh`)}</p>
        <Facts>
          <Fact label={w.transaction}>
            <Id value={done.transaction.hash} />
          </Fact>
          {!/^0x0+$/.test(done.beneficiary) && (
            <Fact label={w.commitment}>
              <Id value={done.beneficiary} />
            </Fact>
          )}
        </Facts>
        {done.salt && (
          <div class="once">
            <strong>{w.salt}</strong>
            <Id value={done.salt} head={64} tail={0} />
            <p>{w.saltWhy}</p>
          </div>
        )}
        <p>
          <button type="button" class="button primary" onClick={close}>
            {done.salt ? w.kept : w.close}
          </button>
        </p>
      </Dialog>
    );
  const isCharge = purpose === 'storage-charge';
  return (
    <Dialog
      open={of !== undefined}
      title={w.title}
      onClose={close}
      onSubmit={submit}
      submit={w.burn(shown)}
      danger
      busy={deed.busy}
      disabled={!sure || !isWhole || (purpose === 'donation' && recipient.trim() === '')}
      error={deed.error}
    >
      {of && <p>{w.lead(`${number(left)} Wh`, `${date(of.slot * 1000)} ${hourOf(of.slot * 1000)}`)}</p>}
      <Field label={w.amount} hint={w.amountHint}>
        <input
          class="input"
          inputMode="numeric"
          pattern="[0-9]*"
          placeholder={String(left)}
          value={amount}
          onInput={(e) => setAmount(e.currentTarget.value.trim())}
          aria-invalid={!isWhole}
        />
      </Field>
      <Field label={w.purpose}>
        <select class="input" value={purpose} onChange={(e) => setPurpose(e.currentTarget.value as ClaimPurpose)}>
          {(Object.keys(PURPOSE_WORDS.en) as ClaimPurpose[]).map((p) => (
            <option key={p} value={p}>
              {PURPOSE_WORDS[lang.value][p]}
            </option>
          ))}
        </select>
      </Field>
      <Field label={isCharge ? w.storage : w.beneficiary} hint={isCharge ? w.storageHint : w.beneficiaryHint}>
        <input class="input" maxLength={256} value={who} onInput={(e) => setWho(e.currentTarget.value)} />
      </Field>
      <Field label={w.recipient} hint={w.recipientHint}>
        <input class="input" maxLength={128} value={recipient} onInput={(e) => setRecipient(e.currentTarget.value)} />
      </Field>
      <label class="check-line">
        <input type="checkbox" checked={sure} onChange={(e) => setSure(e.currentTarget.checked)} />
        <span>{w.sure}</span>
      </label>
    </Dialog>
  );
}
