import { afterEach, expect, test } from "vitest";
import { KIND, type ActedMessage, type Nodes } from "../../runtime/wire/protocol.ts";
import { item } from "../helpers/small-operators.ts";
import { steeredRun, type SteeredRun } from "../helpers/steered-run.ts";
import { connectWire, isKind, said, type WireClient } from "../helpers/wire-client.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
async function start(token?: string): Promise<SteeredRun> {
  const steered = await steeredRun(token);
  closers.push(() => steered.end());
  return steered;
}
async function join(steered: SteeredRun, token?: string): Promise<WireClient> {
  const client = await connectWire(steered.address, token === undefined ? {} : { token });
  closers.push(() => client.end());
  return client;
}
const answer = async (client: WireClient, id: number): Promise<ActedMessage> =>
  said<ActedMessage>(
    await client.until((heard) => isKind("acted")(heard) && said<ActedMessage>(heard).id === id),
  );

test("a client is told what may be changed, changes it, and all are told how it is set now", async () => {
  const steered = await start();
  const [ada, ben] = [await join(steered), await join(steered)];
  const nodes = said<Nodes>(await ada.until(isKind("nodes"))).nodes;
  await ben.until(isKind("nodes"));
  expect(nodes).toEqual([
    {
      node: "tally",
      use: "test/tallied",
      options: [
        { option: "gain", kind: "quantity", unit: "1", doc: "of each value", value: 2 },
        { option: "every", kind: "integer", doc: "gives out after so many rows", value: 1 },
      ],
    },
  ]);
  await steered.push(item([1, 2]));
  ada.say({ verb: "act", id: 7, node: "tally", changes: { gain: 4, every: 3 }, by: "Ada" });
  expect(await answer(ada, 7)).toEqual({ id: 7, time: 2_000_000_001 });
  const again = await ben.until(
    (heard) => isKind("nodes")(heard) && heard !== ben.heard.find(isKind("nodes")),
  );
  expect(said<Nodes>(again).nodes[0]!.options.map(({ value }) => value)).toEqual([4, 3]);
  expect(ben.heard.filter(({ header }) => header.kind === KIND.acted)).toEqual([]);
  const rows: unknown[] = [];
  for await (const { columns } of steered.run.read("actions", {}))
    columns.time.forEach((_, i) => rows.push(["node", "action", "option", "value", "by"].map((name) => (columns[name] as string[])[i]))); // prettier-ignore
  expect(rows).toEqual([
    ["tally", "set", "gain", "4", "Ada"],
    ["tally", "set", "every", "3", "Ada"],
  ]);
});

test("what cannot be is answered with the reason, and the connection stays", async () => {
  const client = await join(await start());
  client.say({ verb: "act", id: 1, node: "tally", changes: { every: 0 } });
  expect(await answer(client, 1)).toEqual({ id: 1, refused: "tally.every: 0 is below 1" });
  client.say({ verb: "act", id: 2, node: "tale", changes: { every: 2 } });
  expect((await answer(client, 2)).refused).toMatch(/^node tale is not known; did you mean tally\?/);
  for (const [message, what] of [
    [{ node: "", changes: {} }, "act: node must be the name of a node"],
    [{ node: "tally", changes: [1] }, "act: changes must be a map of options and their values; got [1]"],
    [{ node: "tally", changes: {}, by: 3 }, "act: by must be text; got 3"],
    [{ node: "tally", changes: {}, id: "x" }, "act: id must be a whole number"],
  ] as const) {
    client.heard.length = 0;
    client.say({ verb: "act", id: 3, ...message });
    expect(said<{ what: string }>(await client.until(isKind("error"))).what).toContain(what);
  }
  client.say({ verb: "act", id: 4, node: "tally", changes: { every: 2 } });
  expect(await answer(client, 4)).toEqual({ id: 4, time: 0 });
});

test("who does not know the token changes nothing", async () => {
  const steered = await start("secret");
  const stranger = await connectWire(steered.address, { hello: false });
  stranger.say({ verb: "act", id: 1, node: "tally", changes: { gain: 9 } });
  expect((await stranger.closed).code).toBe(1008);
  const guesser = await connectWire(steered.address, { token: "guess" });
  guesser.say({ verb: "act", id: 1, node: "tally", changes: { gain: 9 } });
  expect((await guesser.closed).code).toBe(1008);
  expect(steered.run.changeable()[0]!.options[0]!.value).toBe(2);
  const friend = await join(steered, "secret");
  friend.say({ verb: "act", id: 1, node: "tally", changes: { gain: 9 } });
  expect(await answer(friend, 1)).toEqual({ id: 1, time: 0 });
});
