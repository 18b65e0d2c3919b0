import { userInfo } from "node:os";
import type { Command } from "commander";
import WebSocket from "ws";
import { parse } from "yaml";
import {
  bodyOf, decodeHeader, formatTime, KIND, pack, PROTOCOL_VERSION, SUB_PROTOCOL, unpack,
  type ActedMessage, type ChangeableNode, type ClientMessage, type Nodes, type WireError,
} from "../runtime/index.ts"; // prettier-ignore
import { CommandError, FAILED, MISTAKE } from "./command-error.ts";
import { print, printJson, table, tell } from "./print.ts";

interface Given {
  list?: true;
  json?: true;
  token?: string;
  by?: string;
}

/** `operando act`: changes options of a run that goes on, from anywhere that reaches its page. */
export function addAct(program: Command): void {
  program
    .command("act")
    .description("changes options of a run that goes on; recorded, so that a replay does it too")
    .argument("<url>", "address of its page, as http://127.0.0.1:8080")
    .argument("[node.option=value...]", "as slices.axis='512.3 {px}'; null: as the pipeline file has it")
    .option("--list", "shows what can be changed, and how it is set")
    .option("--json", "with --list: prints one JSON document")
    .option("--token <text>", "where the page wants one (or the environment's OPERANDO_TOKEN)")
    .option("--by <name>", "who does it, for the record (default: the user's name)")
    .action(async (url: string, assignments: string[], { list, json, token, by }: Given) => {
      const changes = byNode(assignments);
      if (!list && changes.size === 0)
        throw new CommandError("name what to change as node.option=value, or ask with --list", MISTAKE);
      if (list && changes.size > 0)
        throw new CommandError("--list changes nothing; give it alone, or the changes alone", MISTAKE);
      const run = await connect(url, token ?? process.env["OPERANDO_TOKEN"]);
      try {
        if (list) return await (json ? printJson(run.nodes) : print(shown(run.nodes)));
        const refused: string[] = [];
        for (const [node, options] of changes) {
          const answer = await run.act(node, options, by ?? userName());
          if (answer.refused !== undefined) refused.push(answer.refused);
          else
            await tell(
              `${node}: ${Object.keys(options).join(", ")} changed from ${formatTime(BigInt(answer.time!))} on`,
            );
        }
        if (refused.length > 0) throw new CommandError(refused.join("\n"), MISTAKE);
      } finally {
        run.close();
      }
    });
}

/** What is to be set, by node: what is set together becomes one action. */
function byNode(assignments: readonly string[]): Map<string, Record<string, unknown>> {
  const changes = new Map<string, Record<string, unknown>>();
  for (const assignment of assignments) {
    const [, node, option, value] = /^([^.=]+)\.([^.=]+)=(.*)$/s.exec(assignment) ?? [];
    if (node === undefined)
      throw new CommandError(
        `${assignment}: write it as node.option=value, such as slices.filter=hann`,
        MISTAKE,
      );
    const options = changes.get(node) ?? {};
    if (option! in options) throw new CommandError(`${node}.${option} is given twice`, MISTAKE);
    options[option!] = valueOf(value!);
    changes.set(node, options);
  }
  return changes;
}

/** As a pipeline file has it; what is not YAML is text. */
function valueOf(written: string): unknown {
  try {
    return parse(written) as unknown;
  } catch {
    return written;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return ""; // a user that the system has no name for, as in some containers
  }
}

function shown(nodes: readonly ChangeableNode[]): string {
  if (nodes.length === 0) return "This run has no options that can change while it goes on.\n";
  const rows = nodes.flatMap(({ node, options }) =>
    options.map(({ option, kind, unit = "", choices, doc, value }) => [
      `${node}.${option}`,
      Number.isNaN(value) || value === "" ? "none" : `${typeof value === "object" ? JSON.stringify(value) : String(value)}${unit && unit !== "1" ? ` ${unit}` : ""}`, // prettier-ignore
      kind,
      [doc, choices ? `one of ${choices.join(", ")}` : ""].filter(Boolean).join("; "),
    ]),
  );
  return `${table(rows, "", 110)}\n`;
}

interface RunningRun {
  readonly nodes: readonly ChangeableNode[];
  act(node: string, changes: Record<string, unknown>, by: string): Promise<ActedMessage>;
  close(): void;
}

/** Resolves once the run has said what can be changed. */
function connect(url: string, token: string | undefined): Promise<RunningRun> {
  const address = url
    .replace(/^http/, "ws")
    .replace(/^(?!wss?:)/, "ws://")
    .replace(/#.*$/, "");
  if (!URL.canParse(address))
    return Promise.reject(
      new CommandError(`${url} is not an address; write it as http://127.0.0.1:8080`, MISTAKE),
    );
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address, SUB_PROTOCOL, { handshakeTimeout: 10_000 });
    socket.binaryType = "nodebuffer";
    let said: string | undefined;
    let ready = false;
    let answers: { resolve: (answer: ActedMessage) => void; reject: (error: Error) => void } | undefined;
    const fail = (why: string): void => {
      const error = new CommandError(`${url}: ${why}`, FAILED);
      reject(error);
      answers?.reject(error);
    };
    const say = (message: ClientMessage): void => socket.send(pack(message));
    socket.on("open", () =>
      say({ verb: "hello", version: PROTOCOL_VERSION, ...(token !== undefined && { token }) }),
    );
    socket.on("error", (error: NodeJS.ErrnoException) =>
      fail(
        error.code === "ECONNREFUSED"
          ? "nothing listens there; is the run still on, and is this the address that it printed?"
          : error.message,
      ),
    );
    socket.on("close", (_, reason) => fail(said ?? (String(reason) || "the connection was closed")));
    socket.on("message", (data: Buffer) => {
      const { kind } = decodeHeader(data);
      const body = (): unknown => unpack(bodyOf(data));
      if (kind === KIND.error) said = (body() as WireError).what;
      else if (kind === KIND.acted) answers?.resolve(body() as ActedMessage);
      else if (kind === KIND.nodes) {
        ready = true;
        resolve({
          nodes: (body() as Nodes).nodes,
          act(node, changes, by) {
            say({ verb: "act", id: 1, node, changes, by });
            return new Promise((done, failed) => (answers = { resolve: done, reject: failed }));
          },
          close: () => socket.close(),
        });
      } else if (kind === KIND.health && !ready)
        fail("this run is of an older version, in which nothing can be changed");
    });
  });
}
