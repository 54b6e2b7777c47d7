/** Profiles, put together with the config, which may say otherwise of some kinds, and with the API, which shows them. */
import type { ApiParts } from './api/parts.ts';
import { type Config, placeOf } from './config.ts';
import { EdgeError } from './errors.ts';
import { hint } from './flaws.ts';
import { GATEWAY_KIND } from './profiles/profile.ts';
import type { Profiles } from './profiles/profiles.ts';

/**
 * Which kinds are sealed: as the config says it, else as the profiles do.
 * @throws EdgeError CONFIG_INVALID where the config names a kind that there is not
 */
export function sealing(config: Config, profiles: Profiles): (kind: string) => boolean {
  const { sealedKinds } = config.privacy;
  if (!sealedKinds) return (kind) => profiles.isSealed(kind);
  const kinds = profiles.kinds();
  const { where, line } = placeOf(config);
  for (const [i, kind] of sealedKinds.entries())
    if (!kinds.includes(kind))
      throw new EdgeError(
        'CONFIG_INVALID',
        `${where}${line(`/privacy/sealedKinds/${i}`)}: privacy.sealedKinds.${i} is ${kind}, which is no kind${hint(kind, kinds)}`,
      );
  const sealed = new Set(sealedKinds);
  // Of a kind that nobody describes any more nobody says that it may be in the open.
  return (kind) => sealed.has(kind) || (profiles.get(kind) === undefined && profiles.isSealed(kind));
}

/** What somebody should have meant, and perhaps did not. @param devices that are enrolled */
export function profileWarnings(
  config: Config,
  profiles: Profiles,
  devices: readonly { kind: string }[] = [],
): string[] {
  const isSealed = sealing(config, profiles);
  const opened = profiles.kinds().filter((kind) => profiles.isSealed(kind) && !isSealed(kind));
  const kinds = new Set(devices.map(({ kind }) => kind));
  const gone = [...kinds].filter((kind) => kind !== GATEWAY_KIND && !profiles.get(kind));
  return [
    ...opened.map((kind) => `${kind} is in the open by privacy.sealedKinds, though its profile seals it`),
    ...gone.map(
      (kind) => `devices are enrolled as ${kind}, which no profile describes: what they say lies in quarantine`,
    ),
  ];
}

export const profilesPart = (profiles: Profiles, isSealed: (kind: string) => boolean): ApiParts['profiles'] => {
  const view = ({ file: _, driver, kind, ...rest }: ReturnType<Profiles['list']>[number]) => ({
    ...rest,
    kind,
    driver: driver ?? null,
    privacy: isSealed(kind) ? ('sealed' as const) : ('public' as const),
    values: rest.values.map(({ range, ...value }) => ({ ...value, ...(range ? { range: [...range] } : {}) })),
  });
  return {
    kinds: () => profiles.kinds(),
    list: () => profiles.list().map(view),
    get: (name) => {
      const profile = profiles.named(name);
      return view(profile);
    },
  };
};
