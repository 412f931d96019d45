/** The candidate that a mistyped word most likely stands for; null where none is near. */
export function closest(word: string, candidates: readonly string[]): string | null {
  // Two letters that changed places count as two.
  const limit = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  let best: string | null = null;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein: the fewest insertions, deletions and replacements that make `b` of `a`. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, charA] of a.split("").entries()) {
    const current = [i + 1];
    for (const [j, charB] of b.split("").entries()) {
      const replaced = (previous[j] ?? 0) + (charA === charB ? 0 : 1);
      current.push(Math.min(replaced, (previous[j + 1] ?? 0) + 1, (current[j] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
