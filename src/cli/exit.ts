/** Ends the process once the reader of stdout has got everything: what a slow one has not read would be lost. */
export async function exit(code: number): Promise<never> {
  await new Promise<void>((resolve) => {
    process.stdout.write("", () => resolve());
  });
  process.exit(code);
}
