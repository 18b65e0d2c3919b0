import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import {
  encodeHeader,
  joinMessage,
  KIND,
  pack,
  plainHeader,
  SUB_PROTOCOL,
  type KindCode,
} from "../../runtime/index.ts";
import { command } from "../helpers/command.ts";
import { item } from "../helpers/small-operators.ts";
import { steeredRun, type SteeredRun } from "../helpers/steered-run.ts";

let steered: SteeredRun | undefined;
afterEach(async () => {
  await steered?.end();
  steered = undefined;
});

test("lists what can be changed, and how it is set", async () => {
  steered = await steeredRun();
  const { code, out, err } = await command("act", steered.address, "--list");
  expect([code, err]).toEqual([0, ""]);
  expect(out).toBe(
    "tally.gain   2  quantity  of each value\ntally.every  1  integer   gives out after so many rows\n",
  );
  const json = await command("act", steered.address, "--list", "--json");
  expect(JSON.parse(json.out)).toEqual(steered.run.changeable());
});

test("changes options together, and says from when on", async () => {
  steered = await steeredRun();
  const acted: unknown[] = [];
  steered.run.acted$.subscribe((one) => acted.push(one));
  await steered.push(item([1, 2]));
  const { code, out, err } = await command(
    "act",
    steered.address,
    "tally.gain=50 %",
    "tally.every=4",
    "--by",
    "Ada",
  );
  expect([code, out]).toEqual([0, ""]);
  expect(err).toBe("tally: gain, every changed from 1970-01-01T00:00:02.000000001Z on\n");
  expect(acted).toEqual([
    { time: 2_000_000_001n, node: "tally", changes: { gain: 0.5, every: 4 }, by: "Ada" },
  ]);
  expect((await command("act", steered.address, "tally.gain=null")).code).toBe(0);
  expect(steered.run.changeable()[0]!.options.map(({ value }) => value)).toEqual([2, 4]);
});

test("says what cannot be, each on its line", async () => {
  steered = await steeredRun();
  const { code, err } = await command("act", steered.address, "tally.every=0", "taly.gain=3");
  expect(code).toBe(2);
  expect(err).toBe("tally.every: 0 is below 1\nnode taly is not known; did you mean tally? Allowed: tally\n");
  expect(steered.run.changeable()[0]!.options[0]!.value).toBe(2);
});

/** A server that answers the first message with these, and later ones with those. */
async function answering(first: [KindCode, object][], later: [KindCode, object][]) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => SUB_PROTOCOL });
  await new Promise((resolve) => server.once("listening", resolve));
  server.on("connection", (socket) => {
    let answers = first;
    socket.on("message", () => {
      for (const [kind, body] of answers)
        socket.send(joinMessage(encodeHeader(plainHeader(kind, 0)), pack(body)));
      answers = later;
    });
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

test("passes over what it does not know, and what is said meanwhile", async () => {
  const health: [KindCode, object] = [KIND.health, {}];
  const { url, close } = await answering(
    [[KIND.welcome, {}], [99 as KindCode, {}], [KIND.nodes, { nodes: [] }], health],
    [health, [KIND.nodes, { nodes: [] }], [KIND.acted, { id: 1, time: 5 }]],
  ); // prettier-ignore
  expect(await command("act", url, "a.b=1")).toMatchObject({
    code: 0,
    err: "a: b changed from 1970-01-01T00:00:00.000000005Z on\n",
  });
  expect((await command("act", url, "--list")).out).toBe(
    "This run has no options that can change while it goes on.\n",
  );
  close();
});

test("says so where a run is too old for it", async () => {
  const { url, close } = await answering(
    [
      [KIND.welcome, {}],
      [KIND.health, {}],
    ],
    [],
  );
  expect((await command("act", url, "--list")).err).toBe(
    `${url}: this run is of an older version, in which nothing can be changed\n`,
  );
  close();
});

test("needs the token where there is one", async () => {
  steered = await steeredRun("secret");
  expect(await command("act", steered.address, "--list")).toMatchObject({
    code: 1,
    err: `${steered.address}: a token is needed\n`,
  });
  const wrong = await command("act", steered.address, "--list", "--token", "guess");
  expect(wrong.err).toBe(`${steered.address}: the token is wrong\n`);
  expect((await command("act", steered.address, "--list", "--token", "secret")).code).toBe(0);
});

test.each([
  [["http://127.0.0.1:9"], 2, /name what to change/],
  [["http://127.0.0.1:9", "gain=3"], 2, /gain=3: write it as node\.option=value/],
  [["http://127.0.0.1:9", "tally.gain=3", "tally.gain=4"], 2, /tally\.gain is given twice/],
  [["http://127.0.0.1:9", "tally.gain=3", "--list"], 2, /--list changes nothing/],
  [["http://", "--list"], 2, /is not an address/],
  [
    ["http://127.0.0.1:9", "--list"],
    1,
    /^http:\/\/127\.0\.0\.1:9: nothing listens there; is the run still on/,
  ],
])("%j ends with %i", async (args, code, message) => {
  const said = await command("act", ...args);
  expect(said.code).toBe(code);
  expect(said.err).toMatch(message);
});
