/** What the API needs to speak of certificates, handed in by the gateway (edge/certificates.ts makes it). */
import type { Person } from '../tokens.ts';
import type {
  CertificateRowView,
  CertificateState,
  ClaimedView,
  CreditClaimView,
  NewClaimView,
  PointSlotsView,
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

/** How far a reader has come: in what this gateway made (Unix ms), and in the events of the chain. */
export type CertificatePlace = { madeMs: number; block: number; logIndex: number };

export type CreditsParts = {
  /** In the order of slots, then of ids. */
  list: (filter: CertificateFilter) => CertificateRowView[];
  /** @throws EdgeError NOT_FOUND; `certificate` is the document, `why` how it came about */
  get: (id: string) => CertificateRowView & { certificate: object; why: WhyView; claims: CreditClaimView[] };
  /** The bytes of the portable file. @throws EdgeError NOT_FOUND, CREDIT_NOT_MINTED, NOT_ANCHORED, ENTRY_PRUNED */
  file: (id: string) => Uint8Array;
  /** @throws EdgeError NOT_FOUND, CREDIT_NOT_MINTED, CREDIT_NOT_HELD, CREDIT_NOT_ENOUGH, CHAIN_* */
  claim: (id: string, wanted: NewClaimView, by: Person) => Promise<ClaimedView>;
  /** Of the certificate's whole day. @throws EdgeError NOT_FOUND, CREDIT_NOT_MINTED, CHAIN_* */
  withdraw: (id: string, reason: string, by: Person) => Promise<TransactionView>;
  /**
   * Has the withdrawn day of a certificate certified anew. @param id of the version after the withdrawal, which is ready
   * @throws EdgeError NOT_FOUND, CREDIT_NOT_WITHDRAWN
   */
  reissue: (id: string, by: Person) => Promise<CertificateRowView>;
  /**
   * The 24 hours from one on, of metering points in the order of their URNs, after that one.
   * @param from first second, Unix
   */
  slots: (from: number, after: string | undefined, limit: number) => PointSlotsView[];
  /** Newest first. */
  residuals: (filter: { meteringPoint?: string | undefined; limit: number }) => ResidualView[];
  trades: (limit: number) => TradeView[];
  /** @param month of Korean time, as 2026-11 */
  statement: (month: string, meteringPoint: string) => object;
  /** What nobody but the applicant knows: the class of the plant, the day it was confirmed, what the month before left. */
  rec: (month: string, meteringPoint: string, plant: { class: string; confirmed: string; carried: string }) => object;
  /**
   * Claims what an application of that month uses, for the purpose rec-application; so nothing else can use it.
   * @throws EdgeError as rec, CREDIT_NOT_HELD, CREDIT_NOT_ENOUGH, CHAIN_*
   */
  lock: (
    month: string,
    meteringPoint: string,
    plant: { class: string; confirmed: string; carried: string },
    application: string,
    by: Person,
  ) => Promise<{ application: object; wh: number; transactions: TransactionView[] }>;
  /**
   * Signed. Metering points: of the plants of a building, and of its meter at the grid.
   * @throws EdgeError NOT_FOUND, NOT_IN_CHECKPOINT
   */
  building: (asked: { generation: string[]; grid: string; from: number; to: number }) => object;
  /** What changed after that place, at most so many: what was made or refused, then what the chain said of it. */
  news: (after: CertificatePlace, limit: number) => { row: CertificateRowView; place: CertificatePlace }[];
  newest: () => CertificatePlace;
};
