import { eachOf } from "../../lib/audit/pages";
import type { ChainReader } from "../../lib/audit/verify-chain";
import { patient } from "../patient";
import { type AuditedService } from "./services";

const PAGE_SIZE = 1_000;

/** Reads a service's chain over gRPC. What comes is looked at as if anybody had sent it. */
export function createRemoteChainReader({ audit }: AuditedService): ChainReader {
  const pages = <T>(
    fetch: (page: {
      pageSize: number;
      pageToken: string;
    }) => Promise<{ items: readonly T[]; nextPageToken: string }>,
  ) =>
    eachOf(async (pageToken: string | undefined) => {
      const page = { pageSize: PAGE_SIZE, pageToken: pageToken ?? "" };
      const { items, nextPageToken } = await patient(() => fetch(page));
      return { items, next: nextPageToken === "" ? undefined : nextPageToken };
    });
  return {
    links: (afterSequence) =>
      pages(async (page) => {
        const { links, nextPageToken } = await audit.listAuditLinks({ ...page, afterSequence });
        return { items: links, nextPageToken };
      }),
    checkpoints: () =>
      pages(async (page) => {
        const { checkpoints, nextPageToken } = await audit.listAuditCheckpoints(page);
        return { items: checkpoints, nextPageToken };
      }),
    unsealed: () =>
      pages(async (page) => {
        const answer = await audit.listUnsealedAuditRecords(page);
        const sealedThrough = {
          transactionId: answer.sealedTransactionId,
          recordId: answer.sealedRecordId,
        };
        const items = answer.records.map((record) => ({ record, sealedThrough }));
        return { items, nextPageToken: answer.nextPageToken };
      }),
  };
}
