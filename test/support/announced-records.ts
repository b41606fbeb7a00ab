/** Records of announcements, as whoever reads the topic sees them. */

/**
 * Key and value of a record as the console consumer prints them. The value is protobuf: before the hash its tag, which is a line
 * feed, and its length; before the other fields the same.
 */
const RECORD =
  /^([0-9a-f]{64})\|\n@([0-9a-f]{64})\P{L}+https:\/\/hub\.example\.org:8090\/api\/v1(?:\/x*)?\P{L}4(12D3Koo\w{45})$/gmu;

/** Arguments with which the console consumer prints them so. */
export const PRINTED = ['--formatter-property', 'print.key=true', '--formatter-property', 'key.separator=|'];

export interface AnnouncedRecord {
  readonly key: string;
  readonly hash: string;
  readonly originator: string;
}

/** The records in what was printed, in order; whatever else is in it is left out. */
export function announcementsIn(printed: string): AnnouncedRecord[] {
  return [...printed.matchAll(RECORD)].map(([, key = '', hash = '', originator = '']) => ({
    key,
    hash,
    originator,
  }));
}

/** One record. Throws where it is none. */
export function announcementOf(key: Uint8Array | undefined, value: Uint8Array): AnnouncedRecord {
  const printed = `${Buffer.from(key ?? []).toString('latin1')}|${Buffer.from(value).toString('latin1')}`;
  const [announced] = announcementsIn(printed);
  if (announced === undefined) throw new Error(`no announcement: ${JSON.stringify(printed)}`);
  return announced;
}
