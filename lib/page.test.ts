import fc from "fast-check";
import { readPage, toPage } from "./page";
import { isAppError } from "./errors";

const rows = (count: number) => Array.from({ length: count }, (_, index) => `k${index}`);

describe("pages", () => {
  it("walk a list to its end without a gap or a double, whatever the size", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.integer({ min: 1, max: 7 }), (names, pageSize) => {
        const all = [...new Set(names)].sort();
        const seen: string[] = [];
        let pageToken = "";
        do {
          const query = readPage("names", { pageSize, pageToken });
          const { after } = query;
          const found = all.filter((name) => after === undefined || name > after);
          const page = toPage("names", found.slice(0, query.limit + 1), query, (name) => name);
          seen.push(...page.items);
          pageToken = page.nextPageToken;
        } while (pageToken !== "");
        expect(seen).toEqual(all);
      }),
    );
  });

  it("hold 100 rows when no size is named", () => {
    const query = readPage("x", { pageSize: 0, pageToken: "" });
    expect(toPage("x", rows(101), query, (row) => row).items).toHaveLength(100);
  });

  it("refuse a size beyond the limits and name the field", () => {
    for (const pageSize of [-1, 1001])
      expect(() => readPage("x", { pageSize, pageToken: "" })).toThrow(/page_size must be/);
  });

  it("refuse any token that the same list did not give", () => {
    const token = toPage("x", rows(3), { limit: 1, after: undefined }, (row) => row).nextPageToken;
    expect(readPage("x", { pageSize: 1, pageToken: token }).after).toBe("k0");
    expect(() => readPage("y", { pageSize: 1, pageToken: token })).toThrow(/page_token/);
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (pageToken) => {
        try {
          readPage("x", { pageSize: 1, pageToken });
          return false;
        } catch (error) {
          return isAppError(error) && error.violations[0]?.field === "page_token";
        }
      }),
    );
  });
});
