import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "./free-port";
import { spawnPart, type Part } from "./part";
import { cachedPart, findTool, runTool, say } from "./tools";

export interface KafkaOptions {
  /** Kept, and found again at the next start; without one a directory that `stop` removes. */
  directory?: string;
  /** Of the broker; a free one when absent. */
  port?: number;
}

export interface KafkaPart extends Part {
  /** host:port */
  readonly brokers: string;
  readonly port: number;
  readonly directory: string;
}

const VERSION = "4.1.1";
/** Logs through the interface that Kafka uses; of the same series as the one it brings. */
const SLF4J_VERSION = "1.7.36";
const STARTED = "Kafka Server started";

/**
 * Starts one Kafka node (KRaft, the real broker from Maven) on loopback: small heap, no waiting
 * before a group's first assignment, topics only when made. The first start downloads it.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaPart> {
  const java = await findTool("java");
  const libraries = await downloadKafka();
  const isThrowAway = options.directory === undefined;
  const root = resolve(options.directory ?? mkdtempSync(join(tmpdir(), "murmur-kafka-")));
  mkdirSync(root, { recursive: true });
  const port = options.port ?? (await freePort());
  const config = await writeConfig(root, port);
  const command = javaCommand(java, libraries);
  if (!existsSync(join(root, "data", "meta.properties"))) await format(command, root, config);
  const part = await startBroker([...command, "kafka.Kafka", config], root);
  const stop = async () => {
    await part.stop();
    if (isThrowAway) rmSync(root, { recursive: true, force: true });
  };
  return { ...part, stop, brokers: `127.0.0.1:${port}`, port, directory: root };
}

async function startBroker(command: [string, ...string[]], root: string): Promise<Part> {
  const logFile = join(root, "kafka.log");
  rmSync(logFile, { force: true });
  return spawnPart({
    name: "Kafka",
    command,
    logFile,
    // A broker without its parent has nobody to hurry it; its log recovers.
    deathSignal: "SIGKILL",
    isReady: () => existsSync(logFile) && readFileSync(logFile, "utf8").includes(STARTED),
    readyTimeoutMs: 120_000,
  });
}

/** The directory of the jars, filled once from Maven's repository. */
export async function downloadKafka(): Promise<string> {
  return cachedPart(`kafka-${VERSION}`, async (directory) => {
    const maven = await findTool("mvn");
    say(`getting Kafka ${VERSION} with Maven, once`);
    writeFileSync(join(directory, "pom.xml"), pom());
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies";
    await runTool(maven, ["-B", "-q", goal, `-DoutputDirectory=${directory}`], directory);
  });
}

function pom(): string {
  const dependency = (group: string, artifact: string, version: string) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>` +
    `<version>${version}</version></dependency>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>murmur</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    ${dependency("org.apache.kafka", "kafka_2.13", VERSION)}
    ${dependency("org.slf4j", "slf4j-simple", SLF4J_VERSION)}
  </dependencies>
</project>
`;
}

function javaCommand(java: string, libraries: string): [string, ...string[]] {
  const log = "-Dorg.slf4j.simpleLogger";
  return [
    java,
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Xshare:auto",
    `${log}.defaultLogLevel=warn`,
    `${log}.log.kafka.server.KafkaRaftServer=info`,
    `${log}.showDateTime=true`,
    "-cp",
    join(libraries, "*"),
  ];
}

async function writeConfig(root: string, port: number): Promise<string> {
  const controller = await freePort();
  const file = join(root, "server.properties");
  const settings = {
    "process.roles": "broker,controller",
    "node.id": 1,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": `1@127.0.0.1:${controller}`,
    "log.dirs": join(root, "data"),
    "num.partitions": 1,
    "auto.create.topics.enable": false,
    "group.initial.rebalance.delay.ms": 0,
    "offsets.topic.num.partitions": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
    // A broker that was killed may register again only when its old session is over (9 s).
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(file, lines.join(""));
  return file;
}

async function format([java, ...flags]: [string, ...string[]], root: string, config: string) {
  rmSync(join(root, "data"), { recursive: true, force: true });
  const id = randomBytes(16).toString("base64url");
  // An id that begins with a dash would be read as an option.
  const clusterId = id.startsWith("-") ? `m${id.slice(1)}` : id;
  const args = ["kafka.tools.StorageTool", "format", "-t", clusterId, "-c", config];
  await runTool(java, [...flags, ...args], root);
}
