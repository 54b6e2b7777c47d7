/** Swaps and re-keys, as the API asks for them, each with its entry about who did it. */
import type { ApiParts } from './api/parts.ts';
import type { Enrolment } from './intake/enrolment.ts';
import { type Act, Successors } from './intake/succession.ts';
import type { Deed, People } from './people.ts';
import type { Devices } from './store/devices.ts';
import type { Store } from './store/store.ts';
import { Successions } from './store/successions.ts';

export function succession(parts: {
  people: People;
  devices: Devices;
  enrolment: Enrolment;
  store: Store;
  billedOf: (kind: string) => string | undefined;
}): Pick<ApiParts, 'replace' | 'rekey' | 'successions'> {
  const { people, devices, enrolment, store, billedOf } = parts;
  const successors = new Successors({ devices, makeKey: () => enrolment.newKey(), billedOf });
  const as =
    (deed: Deed): Act =>
    (work) =>
      people.act(deed, work);
  return {
    successions: new Successions(store),
    replace: (did, swap, by) =>
      successors.replace(did, swap, as({ by, action: 'device.replace', on: did, detail: { by: swap.by } })),
    rekey: (did, { did: next, proof }, by) =>
      successors.rekey(
        did,
        {
          ...(next === undefined ? {} : { did: next }),
          ...(proof === undefined ? {} : { proof: Uint8Array.from(Buffer.from(proof, 'base64url')) }),
        },
        as({ by, action: 'device.rekey', on: did, detail: { to: next ?? null } }),
      ),
  };
}
