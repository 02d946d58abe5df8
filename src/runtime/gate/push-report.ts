/** gitprotocol-common(5): four hexadecimal digits of length, themselves counted, then the payload. */
const pktLine = (payload: string): string =>
  (Buffer.byteLength(payload) + 4).toString(16).padStart(4, '0') + payload;
const FLUSH = '0000';

/**
 * The answer to a push over the size limit, in the protocol's own words, because a client shows nothing of an
 * HTTP error: band 2 is text for the reader, band 1 the report (gitprotocol-pack(5), "Report Status").
 */
export function tooLargeAnswer(maxBytes: number): string {
  const limit = maxBytes >= 1024 ** 2 ? `${Math.floor(maxBytes / 1024 ** 2)} MiB` : `${maxBytes} bytes`;
  const advice = `This push is larger than the ${limit} the gate accepts. Leave large files out of the commits, then push again.\n`;
  const report = pktLine(`unpack the push is larger than ${limit}\n`) + FLUSH;
  return pktLine(`\u0002${advice}`) + pktLine(`\u0001${report}`) + FLUSH;
}
