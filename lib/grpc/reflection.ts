import { EventEmitter } from "node:events";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import {
  status,
  type Server,
  type ServerDuplexStream,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import type { ReflectionService } from "@grpc/reflection";

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];
/** By the path of the RPC: the bytes of a request → the bytes of its answer. */
type OnStream = (stream: EventEmitter) => void;
type Answers = ReadonlyMap<string, (request: Buffer) => Buffer>;

const VERSIONS = ["v1", "v1alpha"];
const RPC = "ServerReflectionInfo";

/**
 * Adds server reflection (v1 and v1alpha) for these full service names; `descriptorSet` is a
 * base64 google.protobuf.FileDescriptorSet. The files are served as the compiler wrote them: what
 * the proto loader makes of them merges files of one package and loses what they import, and
 * grpcurl then cannot resolve `google.protobuf.Timestamp`. Nothing is loaded before the first who
 * asks: the library takes as long for it as all the rest of a service's start.
 */
export function addReflection(
  server: Server,
  services: readonly string[],
  descriptorSet: string,
): void {
  let loading: Promise<Answers> | undefined;
  const load = () => (loading ??= loadAnswers(services, descriptorSet));
  for (const version of VERSIONS) {
    const path = `/grpc.reflection.${version}.ServerReflection/${RPC}`;
    server.addService(definitionOf(path), {
      [RPC]: (stream: ServerDuplexStream<Buffer, Buffer>) => void answerAll(stream, path, load),
    });
  }
}

function definitionOf(path: string): ServiceDefinition {
  const asItIs = (bytes: Buffer) => bytes;
  return {
    [RPC]: {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: asItIs,
      requestDeserialize: asItIs,
      responseSerialize: asItIs,
      responseDeserialize: asItIs,
    },
  };
}

async function answerAll(
  stream: ServerDuplexStream<Buffer, Buffer>,
  path: string,
  load: () => Promise<Answers>,
): Promise<void> {
  const fail = (code: status, details: string) => {
    stream.emit("error", Object.assign(new Error(details), { code, details }));
  };
  const answers = await load().catch(() => undefined);
  const answer = answers?.get(path);
  if (!answer) {
    fail(status.INTERNAL, "reflection could not be loaded");
    return;
  }
  stream.on("data", (request: Buffer) => {
    try {
      stream.write(answer(request));
    } catch {
      fail(status.INVALID_ARGUMENT, "not a request of server reflection");
    }
  });
  stream.on("end", () => stream.end());
}

async function loadAnswers(services: readonly string[], descriptorSet: string): Promise<Answers> {
  const { ReflectionService } = await import("@grpc/reflection");
  const fileDescriptorProtos = splitFiles(Buffer.from(descriptorSet, "base64"));
  // The service reads nothing else of a package definition than the files of its entries.
  const files = { files: { fileDescriptorProtos } } as unknown as PackageDefinition;
  const answers = new Map<string, (request: Buffer) => Buffer>();
  const collector: Pick<Server, "addService"> = {
    addService(definition, implementation) {
      for (const [name, method] of Object.entries(definition))
        answers.set(method.path, toAnswer(method, implementation[name] as OnStream));
    },
  };
  const all = { services: [...services, "grpc.health.v1.Health"] };
  new ReflectionService(files, all).addToServer(collector);
  return answers;
}

/** What the library does with a stream, done with one request. */
function toAnswer(method: ServiceDefinition[string], onStream: OnStream) {
  return (request: Buffer): Buffer => {
    const answers: Buffer[] = [];
    const write = (answer: unknown) => answers.push(method.responseSerialize(answer));
    const stream = Object.assign(new EventEmitter(), { write });
    onStream(stream);
    stream.emit("data", method.requestDeserialize(request));
    return Buffer.concat(answers);
  };
}

/** The files of a FileDescriptorSet, which is nothing but `repeated FileDescriptorProto file = 1`. */
function splitFiles(set: Uint8Array): Buffer[] {
  const reader = new BinaryReader(set);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) files.push(Buffer.from(reader.bytes()));
    else reader.skip(wireType);
  }
  return files;
}
