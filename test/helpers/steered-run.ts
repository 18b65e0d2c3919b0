/** A run that waits for rows, served to clients: one node whose options may be changed. */
import { Subject } from "rxjs";
import { defineSource, scalar, type SourceItem } from "../../runtime/index.ts";
import { Run } from "../../runtime/run.ts";
import { websocket } from "../../sinks/websocket.ts";
import { plan } from "./graph.ts";
import { tallied } from "./live-operators.ts";

export interface SteeredRun {
  readonly run: Run;
  /** http://127.0.0.1:port */
  readonly address: string;
  /** Rows come; resolves once the node has given out what it makes of them. */
  push(item: SourceItem): Promise<void>;
  end(): Promise<void>;
}

export async function steeredRun(token = ""): Promise<SteeredRun> {
  const items$ = new Subject<SourceItem>();
  const source = defineSource({
    name: "test/pushed",
    output: { values: { value: scalar("V") } },
    config: {},
    open: () => items$,
  });
  const run = new Run({
    plan: plan({
      sources: { cell: { use: source } },
      operators: { tally: { use: tallied, from: "cell.values", with: { entries: ["a"], gain: 2 } } },
    }),
    mode: { kind: "live", speed: Infinity },
    origin: 0n,
  });
  const sink = await websocket.open({ port: 0, host: "127.0.0.1", token, origins: [] }, run);
  const done = run.start();
  await new Promise((resolve) => setImmediate(resolve));
  return {
    run,
    address: /^http:\/\/[^/]*/.exec(sink.says!)![0],
    push: (item) =>
      new Promise((resolve) => {
        const heard = run.tail("tally.tallies").subscribe(({ columns }) => {
          if (columns.time.length > 0) resolve(heard.unsubscribe());
        });
        items$.next(item);
      }),
    async end() {
      items$.complete();
      await done;
      await sink.close();
    },
  };
}
