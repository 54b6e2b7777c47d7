/** The steps of a certificate's verification that ask a node: what the file says of the chain, the chain must say too. */
import { CreditsReader } from './chain/credits-reader.ts';
import type { CertificateFile, ClaimRecord, MintRecord } from './credits/certificate-file.ts';
import { EdgeError } from './errors.ts';
import { checkAnchor } from './verify.ts';
import type { ChainCheck } from './verify-certificate.ts';
import { DAY } from './wire/boundary.ts';

const invalid = (why: string): never => {
  throw new EdgeError('CREDIT_INVALID', why);
};
const same = (a: unknown, b: string): boolean => String(a).toLowerCase() === b.toLowerCase();
const padded = (id: unknown): string => `0x${String(id).slice(2).padStart(64, '0')}`;

/** @param pinned the contracts that the auditor knows; else the file's own are asked, and said */
export function chainChecks(
  rpc: string,
  pinned: { credits?: string | undefined; anchors?: string | undefined } = {},
): ChainCheck[] {
  const reader = new CreditsReader(rpc);
  return [
    {
      name: 'anchored root',
      run: async ({ anchor }, checkpoint) => {
        if (pinned.anchors !== undefined && !same(anchor.contract, pinned.anchors))
          invalid(`it is at ${anchor.contract}`);
        const chainId = await reader.chainId();
        if (chainId !== anchor.chainId) invalid(`it is on chain ${anchor.chainId}, and this is chain ${chainId}`);
        return checkAnchor({ rpc, contract: anchor.contract }, checkpoint);
      },
    },
    {
      name: 'slot on the chain',
      run: async (file) => {
        const { mint, claims } = file;
        if (pinned.credits !== undefined && !same(mint.contract, pinned.credits)) invalid(`it is at ${mint.contract}`);
        if (mint.chainId !== (await reader.chainId())) invalid(`it is on chain ${mint.chainId}`);
        const slot = slotOfFile(file);
        const newest = await reader.idOf(mint.contract, mint.meteringPoint, Math.floor(slot / DAY));
        if (newest !== mint.id) invalid(`the day was withdrawn: its tokens are ${newest} now`);
        const { certified, wh, claimed } = await reader.slotOf(mint.contract, mint.meteringPoint, slot);
        const { energy } = file.credential.credentialSubject;
        if (!certified || wh !== energy.wh) invalid(`the chain has ${certified ? `${wh} Wh` : 'nothing'} of it`);
        const said = claims.reduce((sum, claim) => sum + claim.wh, 0);
        if (claimed < said) invalid(`the chain has ${claimed} Wh of it claimed, and the file ${said}`);
        return `${wh} Wh, ${claimed} claimed${claimed > said ? `, ${claimed - said} of it since the file was made` : ''}; contract ${mint.contract}`;
      },
    },
    {
      name: 'mint transaction',
      run: async ({ mint }) => {
        const found = await reader.eventsOf(mint.contract, mint.transaction);
        if (found?.block !== mint.block) return invalid(`${mint.transaction} is not in block ${mint.block}`);
        if (!found.events.some(({ event, args }) => event === 'Minted' && isMint(mint, args)))
          invalid(`${mint.transaction} says something else`);
        return `${mint.transaction} in block ${mint.block} minted ${mint.minted} Wh to ${mint.owner}`;
      },
    },
    {
      name: 'claim transactions',
      run: async ({ claims }) => {
        for (const claim of claims) {
          const found = await reader.eventsOf(claim.contract, claim.transaction);
          if (found?.block !== claim.block) return invalid(`${claim.transaction} is not in block ${claim.block}`);
          const single = found.events.some(({ event, args }) => event === 'ClaimSingle' && isClaim(claim, args));
          const called = found.events.some(
            ({ event, args }) =>
              event === 'Claimed' &&
              same(args.holder, claim.holder) &&
              same(args.beneficiary, claim.beneficiary) &&
              args.recipient === claim.recipient,
          );
          if (!single || !called) invalid(`${claim.transaction} says something else`);
        }
        return claims.length === 0 ? 'none' : `${claims.length}, as the file has them`;
      },
    },
  ];
}

const slotOfFile = ({ credential }: CertificateFile): number =>
  Date.parse(credential.credentialSubject.slot.start) / 1000;

function isMint(mint: MintRecord, args: Record<string, unknown>): boolean {
  const numbers = ['firstSlot', 'minted', 'debited', 'startRegister', 'endRegister'] as const;
  return (
    padded(args.id) === mint.id &&
    (['meteringPoint', 'device', 'owner'] as const).every((name) => same(args[name], mint[name])) &&
    numbers.every((name) => args[name] === mint[name]) &&
    JSON.stringify(args.amounts) === JSON.stringify(mint.amounts)
  );
}

const isClaim = (claim: ClaimRecord, args: Record<string, unknown>): boolean =>
  padded(args.id) === claim.id &&
  same(args.holder, claim.holder) &&
  args.value === claim.wh &&
  Number(BigInt(args.data as string)) === claim.slot;
