// Time. `counter` numbers the events and costs nothing; `mono` asks the host, which costs more than all the rest of an
// event, so it is read only when it is selected and a user of the site needs the time, and once for all of them.

import { hostClock } from './host';
import { ABI_CLOCK, ABI_COUNTER, ABI_MONO, CLOCK_MONO, TASK_CLOCK } from './layout';
import { current } from './task';

/// Times stay below this, so that the host can hold them as numbers.
const TIME_LIMIT: f64 = 9007199254740992.0;

export function clock_is_mono(): bool {
  return load<u32>(0, ABI_CLOCK) == CLOCK_MONO;
}

/// The time in nanoseconds: what the machine of the current task says, else the host's clock, made monotonic: a reading
/// that is earlier than the one before it, or no time at all, is replaced by the one before.
export function clock_mono(): u64 {
  const at = load<u32>(current, TASK_CLOCK);
  if (at) return load<u64>(at);
  const now = hostClock();
  const last = load<u64>(0, ABI_MONO);
  if (!(now >= <f64>last && now < TIME_LIMIT)) return last;
  store<u64>(0, <u64>now, ABI_MONO);
  return <u64>now;
}

/// The time now in units of the selected clock. May run what the host's clock runs.
export function clock_read(): u64 {
  return clock_is_mono() ? clock_mono() : counter();
}

export function counter(): u64 {
  return load<u64>(0, ABI_COUNTER);
}

export function counter_set(events: u64): void {
  store<u64>(0, events, ABI_COUNTER);
}
