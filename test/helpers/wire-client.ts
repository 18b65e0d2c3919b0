/**
 * A client of the wire for tests: speaks the protocol, keeps what came, and waits for what is still to come.
 */
import WebSocket from "ws";
import { columnsOf, fromArrowMessages } from "../../runtime/wire/arrow-messages.ts";
import { decodeBlock, type BucketBlock } from "../../runtime/wire/buckets.ts";
import {
  bodyOf, decodeHeader, KIND, pack, SUB_PROTOCOL, unpack, type Header, type KindName,
} from "../../runtime/wire/protocol.ts"; // prettier-ignore

export interface Heard {
  readonly header: Header;
  readonly body: Uint8Array;
}

export interface WireClient {
  readonly heard: Heard[];
  readonly socket: WebSocket;
  say(message: Record<string, unknown>): void;
  /** Resolves with the first message, heard or to come, that fits; rejects when the connection closes before. */
  until(fits: (heard: Heard) => boolean): Promise<Heard>;
  of(subscription: number, ...kinds: KindName[]): Heard[];
  closed: Promise<{ code: number; reason: string }>;
  end(): Promise<void>;
}

export interface WireClientOptions {
  readonly origin?: string;
  readonly token?: string;
  readonly hello?: boolean;
}

export async function connectWire(address: string, options: WireClientOptions = {}): Promise<WireClient> {
  const socket = new WebSocket(
    address.replace("http", "ws"),
    SUB_PROTOCOL,
    options.origin ? { origin: options.origin } : {},
  );
  socket.binaryType = "arraybuffer";
  const heard: Heard[] = [];
  const waiting = new Set<{
    fits: (heard: Heard) => boolean;
    resolve: (heard: Heard) => void;
    reject: (error: Error) => void;
  }>();
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on("close", (code, reason) => {
      for (const { reject } of waiting) reject(new Error(`closed: ${code} ${String(reason)}`));
      resolve({ code, reason: String(reason) });
    });
  });
  socket.on("message", (data: ArrayBuffer) => {
    const message = new Uint8Array(data);
    const one = { header: decodeHeader(message), body: bodyOf(message) };
    heard.push(one);
    for (const waiter of waiting) {
      if (!waiter.fits(one)) continue;
      waiting.delete(waiter);
      waiter.resolve(one);
    }
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  const say = (message: Record<string, unknown>): void => socket.send(pack(message));
  if (options.hello !== false)
    say({ verb: "hello", version: 1, ...(options.token !== undefined && { token: options.token }) });
  return {
    heard,
    socket,
    say,
    closed,
    until(fits) {
      const known = heard.find(fits);
      if (known) return Promise.resolve(known);
      return new Promise((resolve, reject) => waiting.add({ fits, resolve, reject }));
    },
    of: (subscription, ...kinds) =>
      heard.filter(
        ({ header }) =>
          header.subscription === subscription && kinds.some((kind) => KIND[kind] === header.kind),
      ),
    async end() {
      socket.terminate();
      await closed;
    },
  };
}

export const isKind =
  (kind: KindName, subscription?: number) =>
  (heard: Heard): boolean =>
    heard.header.kind === KIND[kind] &&
    (subscription === undefined || heard.header.subscription === subscription);

export const said = <T = Record<string, unknown>>({ body }: Heard): T => unpack(body) as T;

/** Values of one column of all row messages of a subscription, and where each message began. */
export function rowsOf(
  client: WireClient,
  subscription: number,
  column: string,
): { values: number[]; rows: number[]; epochs: number[] } {
  let schema: Uint8Array = new Uint8Array(0);
  const [values, rows, epochs]: [number[], number[], number[]] = [[], [], []];
  for (const { header, body } of client.of(subscription, "schema", "rows")) {
    if (header.kind === KIND.schema) schema = body;
    else {
      const found = Array.from(columnsOf(fromArrowMessages(schema, body))[column] as Float64Array, Number);
      values.push(...found);
      found.forEach((_, k) => {
        rows.push(Number(header.row) + k);
        epochs.push(header.epoch);
      });
    }
  }
  return { values, rows, epochs };
}

export interface Trace {
  readonly min: Map<bigint, number>;
  readonly max: Map<bigint, number>;
  readonly count: Map<bigint, number>;
  width: bigint;
}

/** What a client draws: buckets by number, one column. */
export function traceOf(client: WireClient, subscription: number, column = 0): Trace {
  let trace: Trace = { min: new Map(), max: new Map(), count: new Map(), width: 0n };
  for (const { header, body } of client.of(subscription, "minmax")) {
    if (header.flags & 2) trace = { min: new Map(), max: new Map(), count: new Map(), width: 0n };
    const block: BucketBlock = decodeBlock(body);
    trace.width = block.width;
    const { min, max, count } = block.columns[column] ?? { min: [], max: [], count: [] as number[] };
    count.forEach((n, i) => {
      if (n === 0) return;
      const k = block.first + BigInt(i);
      trace.count.set(k, n);
      trace.min.set(k, min[i]!);
      trace.max.set(k, max[i]!);
    });
  }
  return trace;
}
