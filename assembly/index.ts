// The ABI's contents page; README.md beside this file is its manual.

import { start } from './control';

export { heap_base, kill, direct_set, ftrace_enable } from './control';
export { clock_now, clock_set } from './control';
export { sync, task_context, task_create, task_current, task_ignore, task_pause, task_switch } from './task';
export { frame_real, task_frame, task_free, task_reset } from './control';
export { graph_depth, graph_filter, graph_options, graph_site } from './tracer/graph-rules';
export { filter_set, site_notrace, site_want } from './filter';
export { ops_register, ops_unregister } from './ops';
export { site_add, site_set_ip, site_unload } from './site';
export { fgraph_register, fgraph_unregister, graph_set_ring, stats_clear } from './gops';
export { reserve, retrieve, retrieve_parent, retrieve_parent_size, retrieve_size, retrieve_word, task_variable } from './control';
export { enter, enter_call, leave, leave_call, leave_value, restore, save, word } from './trampoline';
export { enter_1, enter_2, enter_3, enter_4, enter_5, enter_6, enter_7, enter_8 } from './trampoline';
export { enter_9, enter_10, enter_11, enter_12, enter_13, enter_14, enter_15, enter_16 } from './trampoline';
export { block_alloc, block_free } from './block';
export { ring_clear, ring_consume, ring_create, ring_free, ring_on, ring_read, ring_wait } from './ring-buffer';
export { fprobe_clear, fprobe_enable, fprobe_record, fprobe_register, fprobe_request } from './fprobe/register';
export { fprobe_unregister } from './fprobe/register';
export { fprobe_site } from './fprobe/location';
export { fprobe_drain } from './fprobe/node';

start();
