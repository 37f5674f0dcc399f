// What a CPU looks like to a tracer, as data (spec/arch.md): one table per CPU fills this contract, and everything else, the
// register views (regs.ts, pt-regs.ts) and the machine's trampolines, is driven by it. Nothing outside src/arch/ knows a
// register by name.
//
// The register file of a CPU is its `pt_regs`: a register is called by the field that holds it there. `fregs` is the record
// that a trampoline fills and a callback sees; where it embeds a `pt_regs` the two layouts are one.

export type CpuName = 'x86_64' | 'arm64' | 'riscv64' | 'loongarch64' | 'powerpc64' | 's390x';
/// `wasm32` is what the targets without a CPU have: argument and result words, and nothing else (wasm32.ts).
export type ArchName = CpuName | 'wasm32';

/// A field of a record: where it begins and how many bytes it has (1, 4 or 8).
export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/// A record of registers. Fields are in the order of their offsets and do not overlap.
export interface RecordLayout {
  /// Bytes, with padding.
  readonly size: number;
  readonly fields: readonly Field[];
  /// By name.
  readonly field: ReadonlyMap<string, Field>;
}

/// Lays out a record: runs of 8-byte fields and single fields, each run at an offset. Throws RangeError when they overlap or
/// do not fit: a table that contradicts itself does not load.
export function record(size: number, runs: readonly (readonly [offset: number, names: string, bytes?: number])[]) {
  const fields: Field[] = [];
  for (const [offset, names, bytes = 8] of runs) {
    names.split(' ').forEach((name, k) => {
      fields.push({ name, offset: offset + k * bytes, size: bytes });
    });
  }
  fields.sort((a, b) => a.offset - b.offset);
  let end = 0;
  for (const { name, offset, size: bytes } of fields) {
    if (offset < end)
      throw new RangeError(`field ${name} at ${offset} overlaps the one before it, which ends at ${end}`);
    end = offset + bytes;
  }
  if (end > size) throw new RangeError(`the fields end at ${end}, the record at ${size}`);
  return { size, fields, field: new Map(fields.map((field) => [field.name, field])) } satisfies RecordLayout;
}

/// `x0 x1 … x30` for ('x', 0, 30).
export function numbered(prefix: string, first: number, last: number): string {
  return Array.from({ length: last - first + 1 }, (_, k) => `${prefix}${first + k}`).join(' ');
}

/// What a trampoline stores before it calls, and loads afterwards. Stack pointer, instruction pointer and return address of an
/// entry are stored always and not listed.
export interface Trampoline {
  /// Registers that go into the fields of the same name.
  readonly saves: readonly string[];
  /// Fields that are set to a constant.
  readonly sets: Readonly<Record<string, bigint>>;
  /// Registers that come back from the fields of the same name; all others that a callee may use are lost.
  readonly restores: readonly string[];
  /// Bytes of stack beside the record: fake frames, headers. The machine has them below it.
  readonly frame: number;
}

export interface ExitTrampoline extends Trampoline {
  /// What the field of the stack pointer holds: the value at entry plus this; null: nothing valid.
  readonly stackPointer: number | null;
  /// Register whose value is handed to the frame-pointer test, null: 0 is.
  readonly framePointer: string | null;
  /// Registers that come back from the stack, `at` bytes above the stack pointer, whatever the record says: a new value is lost.
  readonly keeps: { readonly registers: readonly string[]; readonly at: number } | null;
}

/// One way in which compilers build a traceable function (spec/arch.md §1.1).
export interface SiteForm {
  readonly name: string;
  /// Bytes from the symbol's address to the location.
  readonly offset: number;
}

/// How compiled code builds its stack frames: what a function does to be found by an unwinder. Offsets are from the stack
/// pointer at the function's entry.
export interface FrameForm {
  /// Bytes of a frame.
  readonly size: number;
  /// Where the caller's chain register is stored.
  readonly chainAt: number;
  /// Where the return address is.
  readonly linkAt: number;
  /// The register that links frames: the frame pointer, or the stack pointer where frames have a back chain.
  readonly chain: string;
  /// What the chain register holds inside the function.
  readonly chainValue: number;
}

/// A CPU. Names of registers are fields of `ptRegs`, names of fields are fields of `fregs`.
export interface CpuModel {
  readonly name: CpuName;
  readonly bigEndian: boolean;
  readonly ptRegs: RecordLayout;
  readonly fregs: RecordLayout;
  /// `fregs` embeds a `pt_regs` (HAVING_PT_REGS): the layouts are the same.
  readonly havingPtRegs: boolean;

  /// Registers of the first arguments, in order.
  readonly argumentRegisters: readonly string[];
  /// Bytes from the stack pointer at entry to the first argument that is in no register; null: those read as 0.
  readonly stackArguments: number | null;
  /// Register of the return value, and of its second word.
  readonly returnRegisters: readonly [first: string, second: string];
  readonly stackPointer: string;
  /// Not a real one on powerpc64 and s390x: the stack pointer.
  readonly framePointer: string;
  readonly instructionPointer: string;

  /// Where the return address is when a function begins: the stack, or a register.
  readonly link: 'stack' | { readonly register: string };
  /// Field of `fregs` with the return address; null: it is in memory where the stack pointer points.
  readonly returnField: string | null;
  /// Registers that hold the return address and the resume address while an entry trampoline runs; null: the stack does.
  readonly siteRegisters: { readonly parent: string; readonly resume: string } | null;
  /// Identity of a return slot, stored in the shadow frame: the stack pointer at entry, or the frame pointer.
  readonly retp: 'stackPointer' | 'framePointer';
  /// The shadow frame has a word for the frame pointer, compared at exit (spec/fgraph.md §4.6).
  readonly framePointerTest: boolean;
  /// Register handed to `enter` as frame pointer, null: 0 is.
  readonly entryFramePointer: string | null;

  /// Bytes from the location to where the traced function goes on.
  readonly resume: number;
  /// Bytes of the patched instruction, and the alignment of a location.
  readonly callBytes: number;
  readonly codeAlign: number;
  /// The first is what the machine assumes of a symbol without a location.
  readonly siteForms: readonly SiteForm[];
  /// Top four bits of a kernel address that the one-word probe header assumes; null: the header takes two words.
  readonly addressTop: number | null;

  readonly entry: Trampoline;
  /// The version that saves all registers (WITH_REGS); null: there is none.
  readonly fullEntry: Trampoline | null;
  readonly exit: ExitTrampoline;
  /// Field which, when a callback makes it nonzero, sends the entry trampoline to a direct trampoline.
  readonly directSlot: string;
  /// Direct calls need the ops pointer beside the function (call-ops).
  readonly callOps: boolean;

  /// Registers that a call may change.
  readonly clobbered: readonly string[];
  readonly frame: FrameForm;

  /// Whether a record is a full set of registers: a field and the bits of it that say so, or one answer for all.
  readonly full: { readonly field: string; readonly mask: bigint } | 'always' | 'never';
  /// User mode: whether any, none or all of the bits in a field of `ptRegs` are set.
  readonly userMode: { readonly field: string; readonly mask: bigint; readonly bits: 'any' | 'none' | 'all' };
  /// What `partialRegs` does to the record beside handing it out.
  readonly partial: {
    /// Fields of `ptRegs` taken from the record; empty: the record itself is handed out.
    readonly copies: readonly string[];
    readonly sets: Readonly<Record<string, bigint>>;
    /// Bits that are added to a field.
    readonly ors: Readonly<Record<string, bigint>>;
  };
  /// What `fillPerfRegs` and `fetchCallerRegs` set: fields from the record, and constants.
  readonly perf: { readonly copies: readonly string[]; readonly sets: Readonly<Record<string, bigint>> };

  /// Bytes of a kernel stack: a stack word outside of its aligned block reads as 0.
  readonly threadSize: number;
  /// Where the machine puts what the kernel has somewhere: the trampolines (one page), and the stack of the first task.
  readonly addresses: { readonly trampolines: bigint; readonly stacks: bigint };

  /// Register names → numbers, as the kernel's lookup returns them: offsets in `ptRegs`, or numbers of registers (spec/arch.md
  /// §11). Where one number has two names, the first is the one that it is shown by.
  readonly registerNames: ReadonlyMap<string, number>;
  /// Names beside the listed ones that the lookup takes; undefined: unknown.
  readonly otherName?: (name: string) => number | undefined;
  /// The field that a number reads; without it the one at that offset.
  readonly numberedField?: (number: number) => string;
  /// The lookup in `fregs`, where there is one.
  readonly fregsNames: ReadonlyMap<string, number> | null;
}

// What there is on the page of the trampolines, as distances from its beginning.
export const PLACE_RETURN_TO_HANDLER = 0n;
/// A function that only returns.
export const PLACE_RETURN_STUB = 0x40n;
/// Where a call that nobody made returns to.
export const PLACE_OUTSIDE = 0x80n;
/// Bytes of that page.
export const PLACES_SIZE = 0x1000;

/// The names of fields, with the offsets they stand for.
export function namesOf(layout: RecordLayout, names: string): Map<string, number> {
  return new Map(names.split(' ').map((name) => [name, layout.field.get(name)!.offset]));
}
