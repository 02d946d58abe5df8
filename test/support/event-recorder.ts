import type { EventInput, EventLog, RecordedEvent } from '../../src/runtime/core/event-log.ts';

/** Events as they are recorded, in a list. */
export class EventRecorder implements Pick<EventLog, 'record'> {
  readonly events: EventInput[] = [];

  record(event: EventInput): RecordedEvent {
    this.events.push(event);
    return {
      ...event,
      id: this.events.length,
      at: '',
      project: event.project,
      task: event.task,
      data: event.data ?? {},
    };
  }
}
