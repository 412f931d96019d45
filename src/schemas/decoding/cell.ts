/** What cells (see `Change.cells`) say, each as text. */
export function cellTexts(cells: Buffer): (string | null)[] {
  const texts: (string | null)[] = [];
  for (let at = 0; at < cells.length;) {
    const length = cells.readInt32BE(at);
    at += 4;
    texts.push(length < 0 ? null : cells.toString("utf8", at, at + length));
    at += Math.max(length, 0);
  }
  return texts;
}
