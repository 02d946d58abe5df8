import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { didYouMean } from '../../runtime/core/nearest.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';

/** JSON-RPC 2.0 section 5.1. */
export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;

/** The protocol wants an unknown tool answered as an error of the call, not as a result of it. */
export function unknownTool(name: string, known: readonly string[]): ProtocolError {
  const advice = didYouMean(name, known, `Tools here: ${known.join(', ')}.`);
  return new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    `There is no tool named "${cleanLine(name, 60)}". ${advice}`,
  );
}
