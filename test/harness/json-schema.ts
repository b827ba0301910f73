import Ajv2020, { type ValidateFunction } from "ajv/dist/2020";
import addFormats from "ajv-formats";
import fc from "fast-check";

/** A JSON Schema, as an OpenAPI document has them. */
type Schema = Readonly<Record<string, unknown>>;

/** The part of an OpenAPI document that schemas refer to. */
export interface SchemaDocument {
  components: { schemas: Readonly<Record<string, Schema>> };
}

/** Checks values against schemas of a document, with no code of the product's. */
export function schemaChecker(document: SchemaDocument): (schema: Schema) => ValidateFunction {
  const ajv = new Ajv2020({ strict: false });
  addFormats(ajv);
  ajv.addSchema({ $id: "document", components: document.components });
  const compiled = new Map<Schema, ValidateFunction>();
  const compile = (schema: Schema) => {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"document#/components');
    return ajv.compile(JSON.parse(text) as Schema);
  };
  return (schema) => {
    const known = compiled.get(schema) ?? compile(schema);
    compiled.set(schema, known);
    return known;
  };
}

/** Values that a schema takes; what a few keywords of it forbid is not kept out. */
export function valuesOf(document: SchemaDocument, schema: Schema): fc.Arbitrary<unknown> {
  const { $ref, type, enum: choices, properties, items } = schema;
  const of = (it: Schema) => valuesOf(document, it);
  if (typeof $ref === "string")
    return of(document.components.schemas[$ref.replace("#/components/schemas/", "")] ?? {});
  if (Array.isArray(choices)) return fc.constantFrom(...(choices as unknown[]));
  switch (type) {
    case "object":
      return fc.record(
        Object.fromEntries(
          Object.entries((properties ?? {}) as Record<string, Schema>).map(([name, it]) => [
            name,
            of(it),
          ]),
        ),
        { requiredKeys: (schema["required"] ?? []) as string[] },
      );
    case "array":
      return fc.array(of(items as Schema), { maxLength: 4 });
    case "integer":
      return fc.oneof(
        fc.constantFrom(0, 1, 2),
        fc.integer({ min: Number(schema["minimum"]), max: Number(schema["maximum"]) }),
      );
    case "boolean":
      return fc.boolean();
    default:
      return textsOf(schema);
  }
}

function textsOf({ format, pattern }: Schema): fc.Arbitrary<string> {
  if (format === "date-time")
    return fc.date({ noInvalidDate: true }).map((date) => date.toISOString());
  if (pattern !== undefined) return fc.base64String({ maxLength: 40 });
  return fc.oneof(
    fc.constantFrom("", "backend", "fix-auth", "NPM_TOKEN", "github/alice", "-", "a".repeat(300)),
    fc.uuid(),
    fc.string({ maxLength: 40 }),
    fc.string({ unit: "binary", maxLength: 20 }),
  );
}
