import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { DESCRIPTOR_SET } from "../../../../gen/descriptor-set";
import { editDistance } from "./edit-distance";

let known: ReadonlySet<string> | undefined;

/** Every method of the product's services, `package.Service/Method`: scopes can name these. */
export function knownRpcs(): ReadonlySet<string> {
  return (known ??= readRpcs());
}

/**
 * The method that somebody who wrote `text` will have meant; undefined when none is much like it. Looks
 * at all of them letter by letter: some milliseconds for the longest of texts.
 */
export function nearestRpc(text: string): string | undefined {
  // By the end alone, where the package was left out or is another one.
  const method = shortName(text);
  let best: { name: string; distance: number } | undefined;
  for (const name of knownRpcs()) {
    const distance = editDistance(method.toLowerCase(), shortName(name).toLowerCase());
    if (!best || distance < best.distance) best = { name, distance };
  }
  return best && best.distance <= method.length / 3 ? best.name : undefined;
}

function readRpcs(): ReadonlySet<string> {
  const { file } = fromBinary(FileDescriptorSetSchema, Buffer.from(DESCRIPTOR_SET, "base64"));
  const names = file.flatMap((it) =>
    it.service.flatMap((service) =>
      service.method.map((method) => `${it.package}.${service.name}/${method.name}`),
    ),
  );
  return new Set(names.filter((name) => name.startsWith("murmur.")));
}

/** `Service/Method`. */
function shortName(text: string): string {
  const [service = "", method = ""] = text.split("/");
  return `${service.slice(service.lastIndexOf(".") + 1)}/${method}`;
}
