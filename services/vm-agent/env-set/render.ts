import { randomBytes } from "node:crypto";
import { sensitive, type Sensitive } from "../../../lib/sensitive";
import { nextLiveFile, withoutValues } from "../live-env/delivered";
import { encodeLiveFile, type LiveFile } from "../live-env/live-file";
import { ByteWriter } from "./byte-writer";
import { type Entry, type EnvSet, isAgentId, type Omission } from "./env-set";
import { EnvSetError } from "./env-set-error";
import { type Placement, toEnvironment } from "./environment";
import { envDockerForm } from "./forms/env-docker";
import { envForm } from "./forms/env";
import { envJsonForm } from "./forms/env-json";
import { envShForm } from "./forms/env-sh";
import { type Form, type FormInput } from "./forms/form";
import { LIVE_FILE, visibleName } from "./layout";
import { encodeManifest, recordOf } from "./manifest";

/** One file of a generation, relative to the generation's directory. */
export interface RenderedFile {
  /** `env`, `env.sh`, `env.json`, `env.docker`, `live`, `generation`, or `files/NAME`. */
  path: string;
  content: Sensitive<Buffer>;
}

/** A generation as bytes, ready to be swapped in. */
export interface RenderedSet {
  agentId: string;
  generation: bigint;
  fingerprint: string;
  files: readonly RenderedFile[];
  /** The names that users see: each form, `files` and `generation`. */
  visible: readonly string[];
  /** Of all files together. */
  bytes: number;
  /** The manifest of these files, which the swap writes beside them. */
  manifest: Buffer;
  /** What some form left out: for the ack. */
  omitted: readonly Omission[];
  /** What the next generation's live file needs to know of this one; it holds no value. */
  history: LiveFile;
}

export interface RenderOptions extends Placement {
  /** Also write `env.docker`. */
  docker?: boolean;
  /** Of the generation before, or of the same one. */
  history?: LiveFile | undefined;
}

const FORMS: readonly Form[] = [envForm, envShForm, envJsonForm];

/**
 * Renders a set in every form. Values stay byte for byte or are left out and named in `omitted`;
 * no string is ever made of one. Throws EnvSetError `bad_set` for names that are none.
 */
export function render(set: EnvSet, options: RenderOptions): RenderedSet {
  if (!isAgentId(set.agentId)) throw new EnvSetError("bad_set", "bad agent id");
  const environment = toEnvironment(set, options);
  const forms = options.docker ? [...FORMS, envDockerForm] : FORMS;
  const refused = forms.map((form) => refusalsOf(form, environment.entries));
  const omitted = forms.flatMap((form, at) => [
    ...environment.unfit.map((unfit) => ({ form: form.name, ...unfit })),
    ...(refused[at] ?? []),
  ]);
  const files: RenderedFile[] = forms.map((form, at) => {
    const left = new Set(refused[at]?.map(({ name }) => name));
    const entries = environment.entries.filter(({ name }) => !left.has(name));
    const { agentId, generation } = set;
    const input = { agentId, generation, entries, unset: environment.unset, omitted };
    return { path: form.name, content: sensitive(writeForm(form, input)) };
  });
  for (const { name, value } of environment.files) {
    files.push({ path: `files/${name}`, content: sensitive(Buffer.from(value)) });
  }
  const generation = Buffer.from(`${set.generation.toString()}\n`);
  files.push({ path: "generation", content: sensitive(generation) });
  const live = nextLiveFile(options.history, {
    generation: set.generation,
    entries: environment.entries,
    newKey: options.history?.key ?? randomBytes(16),
  });
  files.push({ path: LIVE_FILE, content: sensitive(encodeLiveFile(live)) });
  return { ...toRenderedSet(set, files, omitted), history: withoutValues(live) };
}

function toRenderedSet(
  { agentId, generation, fingerprint }: EnvSet,
  files: readonly RenderedFile[],
  omitted: readonly Omission[],
): Omit<RenderedSet, "history"> {
  const records = files.map(({ path, content }) => recordOf(path, content.expose()));
  return {
    agentId,
    generation,
    fingerprint,
    files,
    visible: [...new Set(files.map(({ path }) => visibleName(path) ?? []).flat())],
    bytes: records.reduce((sum, { bytes }) => sum + bytes, 0),
    manifest: encodeManifest({ generation, fingerprint, omitted, files: records }),
    omitted,
  };
}

/** Overwrites the rendered bytes with zeros. Call it when the set has been swapped in. */
export function wipe(rendered: RenderedSet): void {
  for (const { content } of rendered.files) content.expose().fill(0);
}

function refusalsOf(form: Form, entries: readonly Entry[]): Omission[] {
  const refusals: Omission[] = [];
  for (const entry of entries) {
    const reason = form.refusal(entry);
    if (reason !== undefined) refusals.push({ form: form.name, name: entry.name, reason });
  }
  return refusals;
}

function writeForm(form: Form, input: FormInput): Buffer {
  const expectedBytes = input.entries.reduce(
    (sum, { name, value }) => sum + name.length + value.length + 16,
    1024,
  );
  const writer = new ByteWriter(expectedBytes);
  form.write(writer, input);
  return writer.take();
}
