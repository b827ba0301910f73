import { knownRpcs, nearestRpc } from "./known-rpcs";

const REKEY = "murmur.rotation.v1.RolloutService/RekeyAgent";
const SET_SECRET = "murmur.catalog.v1.SecretService/SetSecret";

it("the methods of all services that have scopes are known, and nothing else", () => {
  expect(knownRpcs().has(REKEY)).toBe(true);
  expect(knownRpcs().has(SET_SECRET)).toBe(true);
  expect(knownRpcs().has("murmur.audit.v1.AuditService/ListAuditRecords")).toBe(true);
  expect([...knownRpcs()].filter((name) => !name.startsWith("murmur."))).toEqual([]);
});

it.each([
  ["murmur.rotation.v1.RolloutService/ReKeyAgent", REKEY],
  ["murmur.rotation.v1.RoloutService/RekeyAgent", REKEY],
  ["murmur.rotation.v1.RolloutServices/RekeyAgnt", REKEY],
  ["murmur.catalog.v1.RolloutService/RekeyAgent", REKEY],
  ["murmur.catalog.v2.SecretService/SetSecret", SET_SECRET],
  ["com.example.Billing/Charge", undefined],
])("the nearest to %s is %s", (text, nearest) => {
  expect(nearestRpc(text)).toBe(nearest);
});
