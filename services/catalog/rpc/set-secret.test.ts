import { SecretDelivery, type SetSecretRequest } from "../../../gen/murmur/catalog/v1/secrets";
import { startCatalog, type CatalogClients, type TestCatalog } from "../../../test/harness/catalog";

let catalog: TestCatalog;
let secrets: CatalogClients["secrets"];

beforeAll(async () => {
  catalog = await startCatalog();
  secrets = catalog.clients(catalog.developer({ tenantId: "acme" })).secrets;
});
afterAll(() => catalog.stop());

const request = (fields: Partial<SetSecretRequest> & { name: string }): SetSecretRequest => ({
  plaintextValue: Buffer.from("value"),
  createdAt: undefined,
  delivery: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
  requestId: "",
  ...fields,
});

describe("SetSecret", () => {
  it("creates a secret and tells what is kept of it", async () => {
    const { secret } = await secrets.setSecret(request({ name: "A", description: "first" }));
    expect(secret).toMatchObject({
      name: "A",
      version: 1n,
      description: "first",
      updatedBy: "github/alice",
      delivery: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT,
    });
  });
});
