import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { scalar } from "../../runtime/index.ts";
import { websocket } from "../../sinks/websocket.ts";
import { FakeRun } from "../helpers/fake-run.ts";

const root = new URL("../../", import.meta.url);

test("the client of docs/protocol.md reads every row, across a lost connection", async () => {
  const [, program] = /```js\n([\s\S]*?)```/.exec(readFileSync(new URL("docs/protocol.md", root), "utf8"))!;
  const run = new FakeRun();
  const serve = (port: number) => websocket.open({ port, host: "127.0.0.1", token: "", origins: [] }, run);
  const first = await serve(0);
  const { port } = new URL(first.says!);
  run.open("s", { fields: { v: scalar("V"), w: scalar("A", { type: "f32" }) }, metadata: {} });
  const append = (from: number, to: number): void => {
    const n = Array.from({ length: to - from }, (_, i) => from + i);
    run.append("s", {
      time: BigInt64Array.from(n, (i) => 10n ** 18n + BigInt(i)),
      v: Float64Array.from(n),
      w: Float32Array.from(n, (i) => i / 2),
    });
  };
  append(0, 5);
  const child = spawn(process.execPath, ["--input-type=module", "-e", program!, "--", `ws://127.0.0.1:${port}/`, "s"], {
    cwd: fileURLToPath(root), stdio: ["ignore", "pipe", "pipe"],
  }); // prettier-ignore
  const lines: string[] = [];
  let check = (): void => {};
  createInterface(child.stdout).on("line", (line) => {
    lines.push(line);
    check();
  });
  let complaints = "";
  child.stderr.on("data", (data) => (complaints += String(data)));
  const untilLines = (n: number): Promise<void> =>
    new Promise((resolve, reject) => {
      check = () => lines.length >= n && resolve();
      child.on("exit", (code) => reject(new Error(`the client ended with ${code}: ${complaints}`)));
      check();
    });
  let sink = first;
  try {
    await untilLines(5);
    append(5, 8);
    await untilLines(8);
    await first.close();
    append(8, 12);
    sink = await serve(Number(port));
    await untilLines(12);
  } finally {
    child.removeAllListeners("exit");
    child.kill();
    await sink.close();
  }
  expect(lines).toEqual(
    Array.from({ length: 12 }, (_, i) => `0,${i},${10n ** 18n + BigInt(i)},${i},${i / 2}`),
  );
});
