/** What the page and its worker say to each other. */
import type { ChangeableNode } from "../../runtime/wire/protocol.ts";
import type { Answer, Connection, Frame, Request, StreamEntry, StreamHealth } from "./types.ts";

export type ToWorker =
  | { readonly say: "connect"; readonly url: string; readonly token: string }
  | { readonly say: "subscribe"; readonly id: number; readonly request: Request }
  | { readonly say: "unsubscribe"; readonly id: number }
  /** A frame has been taken: the next may come. */
  | { readonly say: "received"; readonly id: number }
  | {
      readonly say: "act";
      readonly id: number;
      readonly node: string;
      readonly changes: Readonly<Record<string, unknown>>;
    }
  | { readonly say: "close" };

export type ToPage =
  | { readonly say: "connection"; readonly connection: Connection }
  | { readonly say: "manifest"; readonly manifest: Readonly<Record<string, unknown>> }
  | { readonly say: "catalogue"; readonly complete: boolean; readonly streams: readonly StreamEntry[] }
  | {
      readonly say: "health";
      readonly health: readonly StreamHealth[];
      readonly positions: readonly PositionOf[];
    }
  | { readonly say: "nodes"; readonly nodes: readonly ChangeableNode[] }
  | { readonly say: "answer"; readonly id: number; readonly answer: Answer }
  | { readonly say: "frame"; readonly id: number; readonly frame: Frame };

export type PositionOf = Pick<
  StreamEntry,
  "stream" | "epoch" | "state" | "rows" | "firstTime" | "lastTime" | "watermark"
>;

/** Says something to the page, and hands over the buffers that it holds. */
export type Post = (message: ToPage, transfer: ArrayBuffer[]) => void;
