import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { zipSync } from "fflate";
import { afterAll, describe, expect, test } from "vitest";
import { openArchive } from "../../sources/archive.ts";

const folder = mkdtempSync(join(tmpdir(), "operando zip ä-"));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const place = (bytes: Uint8Array): string => {
  const path = join(folder, `made ${count++}.zip`);
  writeFileSync(path, bytes);
  return path;
};

/** Stored entries with the 64 bit records of an archive that is too large for others. */
function wide(entries: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, data] of Object.entries(entries)) {
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46 + name.length + 28);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt32LE(crc32(data), 16);
    for (const field of [20, 24, 42]) entry.writeUInt32LE(0xffffffff, field);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt16LE(28, 30);
    entry.write(name, 46, "latin1");
    entry.writeUInt16LE(1, 46 + name.length);
    entry.writeUInt16LE(24, 48 + name.length);
    [data.length, data.length, at].forEach((n, i) => entry.writeBigUInt64LE(BigInt(n), 50 + name.length + 8 * i));
    parts.push(header, Buffer.from(name, "latin1"), Buffer.from(data));
    directory.push(entry);
    at += 30 + name.length + data.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  [32, 24].forEach((field) => end.writeBigUInt64LE(BigInt(directory.length), field));
  end.writeBigUInt64LE(BigInt(listed.length), 40);
  end.writeBigUInt64LE(BigInt(at), 48);
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(at + listed.length), 64);
  end.writeUInt32LE(0x06054b50, 76);
  end.fill(0xff, 76 + 8, 76 + 20);
  return Buffer.concat([...parts, listed, end]);
} // prettier-ignore

const text = (words: string): Uint8Array => Buffer.from(words);

test("gives back every entry, by its name, in any order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string({ minLength: 1, maxLength: 40 }).filter((name) => !/[/\\\0]$|__proto__/.test(name)), fc.uint8Array({ maxLength: 3000 }), { maxKeys: 30, noNullPrototype: true }),
      fc.constantFrom(0, 6),
      async (entries, level) => {
        const names = Object.keys(entries);
        if (names.length === 0) return;
        const archive = await openArchive(place(zipSync({ ...entries, "folder/": new Uint8Array(0) }, { level: level as 0 | 6 })), "JPK file");
        expect([...archive.names].sort()).toEqual(names.sort());
        for (const name of names.toReversed()) {
          expect(archive.has(name)).toBe(true);
          expect(archive.size(name)).toBe(entries[name]!.length);
          expect(Buffer.compare(await archive.read(name), Buffer.from(entries[name]!))).toBe(0);
        }
        expect(archive.has("folder/")).toBe(false);
        expect(archive.has(`${names[0]}?`)).toBe(false);
        expect(archive.size(`${names[0]}?`)).toBeUndefined();
        await archive.close();
      },
    ),
    { seed: 7, numRuns: 40 },
  );
}); // prettier-ignore

test("reads archives of 64 bit", async () => {
  const archive = await openArchive(place(wide({ "a/1": text("one"), "a/10": text("ten"), "b": text("") })), "JPK file");
  expect([...archive.names]).toEqual(["a/1", "a/10", "b"]);
  expect(String(await archive.read("a/10"))).toBe("ten");
  expect(String(await archive.read("a/1"))).toBe("one");
  expect(String(await archive.read("b"))).toBe("");
  await archive.close();
}); // prettier-ignore

test("a comment behind the directory may be any bytes", async () => {
  const bytes = Buffer.from(zipSync({ a: text("one") }));
  const comment = Buffer.alloc(3000, 7);
  bytes.writeUInt16LE(comment.length, bytes.length - 2);
  const archive = await openArchive(place(Buffer.concat([bytes, comment])), "JPK file");
  expect(String(await archive.read("a"))).toBe("one");
  await archive.close();
});

describe("bad input", () => {
  const whole = Buffer.from(zipSync({ one: text("1"), two: text("2".repeat(200)) }, { level: 0 }));
  const end = whole.length - 22;
  const changed = (change: (bytes: Buffer) => void): string => {
    const bytes = Buffer.from(whole);
    change(bytes);
    return place(bytes);
  };

  test.each<[string, (bytes: Buffer) => void, RegExp]>([
    ["more entries than there are", (b) => b.writeUInt16LE(9, end + 10), /its directory of entries is damaged \(it holds 2 entries and says 9\)/],
    ["fewer", (b) => b.writeUInt16LE(1, end + 10), /damaged \(it holds 2 entries and says 1\)/],
    ["a directory beyond the end", (b) => b.writeUInt32LE(1e9, end + 16), /damaged \(\d+ bytes from byte 1000000000, and the file has \d+\)/],
    ["a directory elsewhere", (b) => b.writeUInt32LE(0, end + 16), /damaged \(no entry at its byte 0\)/],
    ["a password", (b) => b.writeUInt16LE(1, b.readUInt32LE(end + 16) + 8), /entry one is encrypted; save it without a password/],
    ["a 64 bit end that is not there", (b) => b.writeUInt32LE(0xffffffff, end + 12), /damaged/],
  ])("%s", async (_, change, says) => {
    await expect(openArchive(changed(change), "JPK file")).rejects.toThrow(says);
  }); // prettier-ignore

  test("an entry of absurd size is refused before anything is read, the others are there", async () => {
    const entry = whole.readUInt32LE(end + 16);
    const archive = await openArchive(
      changed((b) => b.writeUInt32LE(0x7fffffff, entry + 24)),
      "JPK file",
    );
    await expect(archive.read("one")).rejects.toThrow(/entry one at byte 0 says that it holds 2147483647 bytes, which is more than any has/); // prettier-ignore
    expect((await archive.read("two")).length).toBe(200);
    await archive.close();
  });

  test("an entry that is not what was put in says so, whatever its length", async () => {
    const archive = await openArchive(
      changed((b) => b.fill("3", b.indexOf("2222"), b.indexOf("2222") + 2)),
      "JPK file",
    );
    await expect(archive.read("two")).rejects.toThrow(/entry two at byte \d+ does not have the checksum that the directory says/); // prettier-ignore
    expect(String(await archive.read("one"))).toBe("1");
    await archive.close();
  });

  test("a bomb stops at the size that the directory says", async () => {
    const bytes = Buffer.from(zipSync({ zeros: new Uint8Array(5_000_000) }, { level: 6 }));
    const entry = bytes.readUInt32LE(bytes.length - 6);
    bytes.writeUInt32LE(100, entry + 24);
    const archive = await openArchive(place(bytes), "JPK file");
    await expect(archive.read("zeros")).rejects.toThrow(/entry zeros at byte 0 cannot be unpacked/);
    await archive.close();
  });
});
