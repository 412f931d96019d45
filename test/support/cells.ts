/** The cells of a change (`Change.cells`) with these texts. */
export function cellsOf(texts: readonly (string | null)[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(text === null ? -1 : Buffer.byteLength(text));
      return text === null ? [length] : [length, Buffer.from(text)];
    }),
  );
}
