import fc from "fast-check";
import { unpack as anyUnpack } from "msgpackr";
import { expect, test } from "vitest";
import {
  bodyOf, decodeHeader, encodeHeader, ENCODING, HEADER_BYTES, joinMessage, KIND, pack, readClientMessage, toInt64, unpack,
  type Header,
} from "../../../runtime/wire/protocol.ts"; // prettier-ignore

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const headers: fc.Arbitrary<Header> = fc.record({
  kind: fc.constantFrom(...Object.values(KIND)), subscription: uint32, epoch: uint32, row: int64, firstTime: int64,
  lastTime: int64, watermark: int64, dropped: uint32, encoding: fc.constantFrom(...Object.values(ENCODING)),
  sent_ms: fc.double({ noNaN: true }), flags: fc.integer({ min: 0, max: 127 }),
}); // prettier-ignore

test("a header comes back exactly, in 64 bytes whatever its numbers", () => {
  fc.assert(
    fc.property(headers, (header) => {
      const bytes = encodeHeader(header);
      expect(bytes.length).toBe(HEADER_BYTES);
      expect(decodeHeader(bytes)).toEqual(header);
    }),
  );
});

test("any MessagePack library reads a header as an array in the order of the documentation", () => {
  fc.assert(
    fc.property(headers, (header) => {
      const read = anyUnpack(encodeHeader(header)) as unknown[];
      expect(read.map((value) => (typeof value === "bigint" ? value : Number(value)))).toEqual([
        header.kind, header.subscription, header.epoch, header.row, header.firstTime, header.lastTime, header.watermark,
        header.dropped, header.encoding, header.sent_ms, header.flags,
      ]); // prettier-ignore
    }),
  );
});

test("a body begins at a multiple of 8, and is found again at any place in a buffer", () => {
  fc.assert(
    fc.property(headers, fc.uint8Array({ maxLength: 40 }), fc.nat(9), (header, body, shift) => {
      const message = joinMessage(encodeHeader(header), body);
      const shifted = new Uint8Array(message.length + shift);
      shifted.set(message, shift);
      const view = shifted.subarray(shift);
      expect(bodyOf(message).byteOffset % 8).toBe(0);
      expect(decodeHeader(view)).toEqual(header);
      expect([...bodyOf(view)]).toEqual([...body]);
    }),
  );
});

test.each([[[]], [[0x9b, 1, 2]], [Array.from({ length: 64 }, () => 0)]])(
  "what does not begin with a header is refused",
  (bytes) => {
    expect(() => decodeHeader(Uint8Array.from(bytes))).toThrow(/does not begin with a header/);
  },
);

test("what is packed holds no extension types, and exact integers", () => {
  const packed = pack({
    a: undefined,
    b: new Date(0),
    c: Float32Array.of(1.5),
    d: new Map([["x", 1n]]),
    e: 2n ** 62n,
    f: [undefined],
  });
  expect(anyUnpack(packed)).toEqual({
    b: "1970-01-01T00:00:00.000Z",
    c: [1.5],
    d: { x: 1n },
    e: 2n ** 62n,
    f: [null],
  });
  expect(packed.some((byte) => byte >= 0xc7 && byte <= 0xc9)).toBe(false);
  expect(unpack(pack({ time: 1_790_000_000_123_456_789n }))).toEqual({ time: 1_790_000_000_123_456_789n });
});

test("integers of any size are read as times", () => {
  expect([5, 5.4, 5n, "5", NaN, null].map(toInt64)).toEqual([5n, 5n, 5n, undefined, undefined, undefined]);
});

const good = { verb: "subscribe", id: 3, stream: "cycler.echem", from: -1_000_000_000n, to: "live" };

test("a subscription is read with what it holds, and nothing else", () => {
  const read = readClientMessage(pack({ ...good, columns: ["voltage_volt"], maxPoints: 1000, other: 1 }));
  expect(read).toEqual({ ...good, columns: ["voltage_volt"], maxPoints: 1000 });
  expect(readClientMessage(pack({ ...good, lossless: true, after: { epoch: 0, row: -1 } }))).toEqual({
    ...good, lossless: true, after: { epoch: 0, row: -1 },
  }); // prettier-ignore
});

test("so is an action, values as they are", () => {
  const act = {
    verb: "act",
    id: 0,
    node: "slices",
    changes: { axis: "512 {px}", filter: null, slices: [1, "z=2"] },
  };
  expect(readClientMessage(pack({ ...act, other: 1 }))).toEqual(act);
  expect(readClientMessage(pack({ ...act, by: "Ada" }))).toEqual({ ...act, by: "Ada" });
});

test.each([
  [{ verb: "launch" }, /verb "launch" is not known; there are hello, subscribe, unsubscribe, act and ping/],
  [{ ...good, id: 0 }, /id must be a whole number from 1/],
  [{ ...good, stream: 7 }, /stream must be the name of a stream/],
  [{ ...good, from: "now" }, /from must be a time in ns since 1970.*got "now"/],
  [{ ...good, to: "then" }, /to must be a time in ns since 1970, or "live"/],
  [{ ...good, columns: [] }, /columns must be a list of column names/],
  [{ ...good, maxPoints: 1e9 }, /maxPoints must be a whole number from 2 to 16384/],
  [{ ...good, lossless: true, maxPoints: 10 }, /maxPoints must be left out where lossless is true/],
  [{ ...good, after: { epoch: 0, row: 1 } }, /after must be \{ epoch, row \}, with lossless/],
  [[1, 2], /one MessagePack map/],
])("what is wrong is refused in words: %#", (message, words) => {
  expect(() => readClientMessage(pack(message))).toThrow(words);
});

test("bytes that are no message are refused, whatever they are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        readClientMessage(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
      }
    }),
  );
});
