/** What a table has for a word of a file; undefined for "constructor" and such, which every object has. */
export const own = <T>(table: Readonly<Record<string, T>> | undefined, word: string): T | undefined =>
  table && Object.hasOwn(table, word) ? table[word] : undefined;
