import type { EventFormat, TimedEvent } from './contract.ts';
import type { LogLine } from './log-assembler.ts';
import { parseEvents, textEvent } from './parse-events.ts';

/** What a line of a log means: what was printed before the agent ran is no event of its own. */
export function eventsOfLine(line: LogLine, format: EventFormat): readonly TimedEvent[] {
  const events = line.isAgents ? parseEvents(format, line) : [textEvent(line)];
  return events.map((event) => ({ ...event, at: line.at }));
}
