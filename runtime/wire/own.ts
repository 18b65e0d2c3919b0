/** What a table has under a word that somebody wrote, in a file or an option; undefined for "constructor" and such, which every object has. */
export const own = <T>(table: Readonly<Record<string, T>> | undefined, word: string): T | undefined =>
  table && Object.hasOwn(table, word) ? table[word] : undefined;
