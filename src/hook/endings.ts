// Every way in which a thread can end on its own terms: the `exit` event for most, and the signals that kill a process which does
// not listen to them. Those have to be listened to; the program does not see that anybody does.

import { FATAL_SIGNALS } from '../session.ts';

/// Calls `write` when the thread ends. Registered for good.
export function onExit(write: () => void): void {
  process.on('exit', write);
  // What the program's own listeners ran after ours.
  const { reallyExit } = process as unknown as { reallyExit: (code?: number) => never };
  (process as unknown as { reallyExit: typeof reallyExit }).reallyExit = new Proxy(reallyExit, {
    apply(target, self, args: [number?]) {
      write();
      return Reflect.apply(target, self, args);
    },
  });
}

/// Calls `write` when one of the signals arrives that would end the process, and ends it by that signal. A program that listens
/// itself decides itself. `seen` is called whenever one arrives. Returns what does the same for a signal that did not arrive, but for
/// sending it again: true when it is now fatal.
export function onFatalSignal(write: () => void, seen: () => void): (signal: NodeJS.Signals) => boolean {
  const ours = new Map<NodeJS.Signals, () => void>();
  const { listeners, rawListeners, listenerCount, eventNames, kill } = process;
  const hidden = (event: unknown, list: readonly unknown[]): unknown[] => {
    const own = ours.get(event as NodeJS.Signals);
    return own ? list.filter((listener) => listener !== own) : [...list];
  };
  const prepare = (signal: NodeJS.Signals): boolean => {
    const own = ours.get(signal);
    if (!own || hidden(signal, rawListeners.call(process, signal)).length > 0) return false;
    write();
    // With its last listener gone the signal does again what it does by default.
    ours.delete(signal);
    process.off(signal, own);
    return true;
  };
  const listen = (signal: NodeJS.Signals): void => {
    const own = () => {
      seen();
      if (prepare(signal)) kill(process.pid, signal);
    };
    ours.set(signal, own);
    process.on(signal, own);
  };
  for (const signal of FATAL_SIGNALS) listen(signal);
  // When the program stops listening, Node would stop too, or the program took ours along.
  process.on('removeListener', (event: string | symbol) => {
    const signal = event as NodeJS.Signals;
    const own = ours.get(signal);
    if (!own || hidden(signal, rawListeners.call(process, signal)).length > 0) return;
    ours.delete(signal);
    process.off(signal, own);
    listen(signal);
  });
  Object.defineProperties(process, {
    listeners: value((event) => hidden(event, (listeners as (event: unknown) => unknown[]).call(process, event))),
    rawListeners: value((event) => hidden(event, rawListeners.call(process, event as 'exit'))),
    listenerCount: value((event, ...rest) =>
      ours.has(event as NodeJS.Signals) && rest.length === 0
        ? hidden(event, rawListeners.call(process, event as 'exit')).length
        : (listenerCount as (...args: unknown[]) => number).call(process, event, ...rest),
    ),
    eventNames: value(() =>
      eventNames
        .call(process)
        .filter((event) => !ours.has(event as NodeJS.Signals) || process.listenerCount(event as NodeJS.Signals) > 0),
    ),
  });
  return prepare;
}

const value = (fn: (event?: unknown, ...rest: unknown[]) => unknown): PropertyDescriptor => ({
  value: fn,
  writable: true,
  enumerable: false,
  configurable: true,
});
