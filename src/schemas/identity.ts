/**
 * Whether two known identities differ: Kafka's ids, oids, files of tables, fingerprints. An unknown one (null; undefined in what
 * older versions stored) differs from none.
 */
export function isOther(stored: string | null | undefined, found: string | null): boolean {
  return stored !== undefined && stored !== null && found !== null && stored !== found;
}
