/** A block of user (or group) ids of the host, reserved for one owner: one line of /etc/subuid. */
export interface SubordinateRange {
  readonly hostStart: number;
  readonly size: number;
}

/** What a container with ids 0..65535 needs. */
export const RANGE_SIZE = 65_536;
/** Where shadow's tools start handing out blocks (SUB_UID_MIN), and the end of what id maps can express. */
const FIRST_START = 100_000;
const LAST_ID = 4_294_967_294;

/** Ranges of a subuid(5) file: `owner:start:count` a line, where owner is a name or a numeric id. */
export function parseSubordinateIds(
  text: string,
): readonly (SubordinateRange & { readonly owner: string })[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([^:#\s][^:]*):([0-9]+):([0-9]+)$/.exec(line.trim());
    if (match === null) return [];
    const [, owner = '', start, size] = match;
    return [{ owner, hostStart: Number(start), size: Number(size) }];
  });
}

/**
 * The lowest block of `RANGE_SIZE` ids that no entry of these files touches, so that no two users and no
 * container of root ever share an id. Undefined when the id space is full.
 */
export function findFreeRange(subordinateTexts: readonly string[]): SubordinateRange | undefined {
  const taken = subordinateTexts.flatMap(parseSubordinateIds).sort((a, b) => a.hostStart - b.hostStart);
  let start = FIRST_START;
  for (const range of taken) {
    if (range.hostStart >= start + RANGE_SIZE) break;
    start = Math.max(start, range.hostStart + range.size);
  }
  return start + RANGE_SIZE - 1 > LAST_ID ? undefined : { hostStart: start, size: RANGE_SIZE };
}

/**
 * A block of an owner that holds for users and groups alike, as our id mappings need it. Undefined when the
 * two files do not agree on one of at least `RANGE_SIZE`.
 */
export function findCommonRange(
  texts: { readonly subuid: string; readonly subgid: string },
  owners: readonly string[],
): SubordinateRange | undefined {
  const ofOwner = (text: string) => parseSubordinateIds(text).filter((range) => owners.includes(range.owner));
  const groups = ofOwner(texts.subgid);
  for (const { hostStart, size } of ofOwner(texts.subuid)) {
    const common = groups
      .filter((range) => range.hostStart === hostStart)
      .map((range) => Math.min(range.size, size))
      .find((both) => both >= RANGE_SIZE);
    if (common !== undefined) return { hostStart, size: common };
  }
  return undefined;
}
