/**
 * Runs one `operando` command in this process and collects what it says.
 */
import { vi } from "vitest";
import { main } from "../../cli/program.ts";

export async function command(
  ...args: string[]
): Promise<{ code: number; out: string; bytes: Buffer; err: string }> {
  const taken = { out: [] as Buffer[], err: [] as Buffer[] };
  const take = (to: Buffer[]) => (chunk: string | Uint8Array) => to.push(Buffer.from(chunk)) > 0;
  const out = vi.spyOn(process.stdout, "write").mockImplementation(take(taken.out));
  const err = vi.spyOn(process.stderr, "write").mockImplementation(take(taken.err));
  try {
    const code = await main(args);
    const bytes = Buffer.concat(taken.out);
    return { code, out: bytes.toString(), bytes, err: Buffer.concat(taken.err).toString() };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}
