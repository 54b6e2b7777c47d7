/** What the API needs to speak of certificates, handed in by the gateway (edge/certificates.ts makes it). */
import type { TSchema } from 'typebox';
import type { Person } from '../tokens.ts';
import type {
  CertificateRowView,
  CertificateState,
  ClaimedView,
  CreditClaimView,
  NewClaimView,
  NewsView,
  ResidualView,
  TradeView,
  TransactionView,
  WhyView,
} from './credit-views.ts';

/** `from` and `to` are Unix seconds of slots, `to` not included; `after` is the id of the last one that was seen. */
export type CertificateFilter = {
  meteringPoint?: string | undefined;
  device?: string | undefined;
  state?: CertificateState | undefined;
  from?: number | undefined;
  to?: number | undefined;
  /** Whether anything of it was claimed. */
  claimed?: boolean | undefined;
  after?: string | undefined;
  limit: number;
};

export type CreditsParts = {
  /** JSON Schema (2020-12) of the certificate document (edge/credits/certificate.ts). */
  schema: TSchema;
  /** In the order of slots, then of ids. */
  list: (filter: CertificateFilter) => CertificateRowView[];
  /** @throws EdgeError NOT_FOUND; `certificate` is the document, `why` how it came about */
  get: (id: string) => CertificateRowView & { certificate: object; why: WhyView; claims: CreditClaimView[] };
  /** The portable file, signed. @throws EdgeError NOT_FOUND, CREDIT_NOT_MINTED, NOT_ANCHORED, ENTRY_PRUNED */
  file: (id: string) => Promise<object>;
  /** @throws EdgeError NOT_FOUND, CREDIT_NOT_MINTED, CREDIT_NOT_HELD, CREDIT_NOT_ENOUGH, CHAIN_* */
  claim: (id: string, wanted: NewClaimView, by: Person) => Promise<ClaimedView>;
  /** Of the certificate's whole day. @throws EdgeError NOT_FOUND, CREDIT_NOT_MINTED, CHAIN_* */
  withdraw: (id: string, reason: string, by: Person) => Promise<TransactionView>;
  /** Newest first. */
  residuals: (filter: { meteringPoint?: string | undefined; limit: number }) => ResidualView[];
  trades: (limit: number) => TradeView[];
  /** @param month of Korean time, as 2026-11 */
  statement: (month: string, meteringPoint: string) => object;
  rec: (month: string, meteringPoint: string) => object;
  /** Signed. `from`, `to`: Unix seconds. */
  building: (asked: { building: string; from: number; to: number }) => object;
  /** Changes with a higher number, the oldest first, at most so many. */
  recent: (after: number, limit: number) => NewsView[];
  /** Number of the newest change; 0 where there was none. */
  readonly newest: number;
};
