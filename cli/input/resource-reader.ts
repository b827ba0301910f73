import { invalid } from "../../lib/errors";
import { type ResourceDocument, type ResourceField } from "./resource-document";

/** Reads a resource field by field; what has another shape is INVALID_ARGUMENT naming the field. */
export interface ResourceReader {
  text(field: string): string | undefined;
  texts(field: string): string[] | undefined;
  count(field: string): bigint | undefined;
  oneOf<T extends string>(field: string, choices: readonly T[]): T | undefined;
  /** Throws for a field that was neither read nor is in this list of ignored ones: a typo. */
  refuseOthers(ignored: readonly string[]): void;
}

export function createResourceReader(document: ResourceDocument): ResourceReader {
  const wasRead = new Set<string>();
  const field = (name: string): ResourceField | undefined => {
    wasRead.add(name);
    return document.get(name);
  };
  const text = (name: string): string | undefined => {
    const value = field(name);
    if (value && !("text" in value)) throw invalid(name, `${name} must be a text`);
    return value?.text;
  };
  return {
    text,
    texts(name) {
      const value = field(name);
      if (value && !("texts" in value)) throw invalid(name, `${name} must be a list`);
      return value?.texts;
    },
    count(name) {
      const value = text(name);
      if (value === undefined) return undefined;
      if (!/^\d{1,18}$/.test(value)) throw invalid(name, `${name} must be a whole number`);
      return BigInt(value);
    },
    oneOf(name, choices) {
      const value = text(name);
      const choice = choices.find((known) => known === value);
      if (value !== undefined && choice === undefined)
        throw invalid(name, `${name} must be one of ${choices.join(", ")}`);
      return choice;
    },
    refuseOthers(ignored) {
      const other = [...document.keys()].find(
        (name) => !wasRead.has(name) && !ignored.includes(name),
      );
      if (other !== undefined) throw invalid(other, `field "${other}" is not known`);
    },
  };
}
