/** Runs a slow action. Reports its start, and at its end how long it took. */
export async function reported<T>(
  report: (line: string) => void,
  [begin, end]: readonly [string, string],
  action: () => Promise<T>,
): Promise<T> {
  const began = performance.now();
  report(`${begin} …`);
  const result = await action();
  report(`${end} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return result;
}
