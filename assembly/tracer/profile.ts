// The profiler, GOPS_PROFILE: per site how often, how long, how long without the calls below, and how long at most. The
// unit is that of the clock. Calls that were left without returning count like the others.
//
// The data of a user's frames on a task form a list through the frames of others, newest first; its head is the task
// variable. An exit adds its time to the next one down, so self = total - calls below is right across frames of other
// users, and as exits come in the order of the list, however a frame is left, the list never points at a frame that is
// gone.
//
//   variable -> | call time | time of calls below | next older data |
//
// Recursion: `total` is the sum over all activations, so the time of an inner call of the same function is in it twice,
// as in the kernel; `self` never counts anything twice, and its sum over all sites is the time spent in profiled
// functions.

import { gops_address } from '../gops';
import { GOPS_OPTIONS, GOPS_STATS, TASK_SLEEP, WORD_SIZE } from '../layout';
import { STAT_COUNT, STAT_MAX, STAT_SELF, STAT_SHIFT, STAT_TOTAL } from '../ring-layout';
import { data_newest, data_reserve, task_variable_address } from '../shadow-stack';

const DATA_CALL = 0;
const DATA_BELOW = DATA_CALL + WORD_SIZE;
const DATA_NEXT = DATA_BELOW + WORD_SIZE;
export const PROFILE_WORDS = 3;

export function profile_entry(task: u32, index: u32, time: u64): bool {
  const data = data_reserve(task, index, PROFILE_WORDS);
  if (!data) return false;
  profile_begin(data, task_variable_address(task, index), time - asleep(task, index));
  return true;
}

/// How long `task` has slept so far, if that is not to count: such a user's time stands still meanwhile.
function asleep(task: u32, index: u32): u64 {
  return load<u32>(gops_address(index), GOPS_OPTIONS) ? load<u64>(task, TASK_SLEEP) : 0;
}

/// The activation ends, by a return or otherwise.
export function profile_exit(task: u32, index: u32, site: u32, time: u64): void {
  const data = data_newest(task, index);
  if (!data) return;
  const stats = load<u32>(gops_address(index), GOPS_STATS);
  profile_end(data, task_variable_address(task, index), time - asleep(task, index), stats, site);
}

/// Puts new data in front of the list at `variable`.
export function profile_begin(data: u32, variable: u32, time: u64): void {
  store<u64>(data, time, DATA_CALL);
  store<u64>(data, 0, DATA_BELOW);
  store<u64>(data, load<u64>(variable), DATA_NEXT);
  store<u64>(variable, data);
}

/// Takes the first data off the list and adds up what it says, in the row of `site` in the table `stats`.
export function profile_end(data: u32, variable: u32, time: u64, stats: u32, site: u32): void {
  const call = load<u64>(data, DATA_CALL);
  const below = load<u64>(data, DATA_BELOW);
  const next = load<u32>(data, DATA_NEXT);
  const total = time > call ? time - call : 0;
  const row = stats + (site << STAT_SHIFT);
  store<u64>(row, load<u64>(row, STAT_COUNT) + 1, STAT_COUNT);
  store<u64>(row, load<u64>(row, STAT_TOTAL) + total, STAT_TOTAL);
  store<u64>(row, load<u64>(row, STAT_SELF) + (total > below ? total - below : 0), STAT_SELF);
  if (total > load<u64>(row, STAT_MAX)) store<u64>(row, total, STAT_MAX);
  store<u64>(variable, next);
  if (next) store<u64>(next, load<u64>(next, DATA_BELOW) + total, DATA_BELOW);
}
