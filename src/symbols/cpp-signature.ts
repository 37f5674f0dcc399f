// Linkers demangle C++ names as they write the name section (LLVM's does unless told not to). What is left to do then is to find
// the name in a declaration:
//
//   std::enable_if<true, int>::type ns::Foo<(E)1>::bar<int>(void (*)(int), int) const
//                                   └────── name ─────────┘
//
// Read from the end, the parameters are the last group of parentheses; in front of them, the name begins behind the last blank
// that is inside no brackets.

const TRAILING = /(?: const| volatile| restrict| &&?| noexcept| \[enable_if[^\]]*\])+$/;
/// What a compiler says about a copy that it made: `f(int) (.llvm.123)`.
const CLONE = / \((?:\.[\w.]+|\[clone [^\]]*\])\)$| \[clone [^\]]*\]$/;
const SPECIAL =
  /^(?:(?:non-)?virtual thunk to |(?:non-)?transaction clone for |covariant return thunk to |guard variable for |invocation function for block in )/;
const OPERATOR = /^operator(?![\w$])/;
const WORD = /[\w$]/;

/// The name in a C++ declaration, without result and parameters. Undefined for what does not look like a function's declaration.
export function nameInSignature(text: string): string | undefined {
  const special = SPECIAL.exec(text)?.[0] ?? '';
  const clone = CLONE.exec(text)?.[0] ?? '';
  const name = nameIn(text.slice(special.length, text.length - clone.length));
  return name === undefined ? undefined : special + name + clone;
}

function nameIn(declaration: string): string | undefined {
  const text = declaration.replace(/ requires .*$/, '').replace(TRAILING, '');
  if (!text.endsWith(')')) return undefined;
  const open = openingOf(text);
  if (open <= 0 || text[open - 1] === ' ') return undefined;
  const before = text.slice(0, open);
  if (/(?<![\w$])operator$/.test(before)) return undefined; // `operator()` itself
  // A function that returns a pointer to a function is written inside of it: `void (*name(int))(char)`.
  if (before.endsWith(')') && !before.endsWith('operator()')) {
    const inner = /^[*&]+(?: const| volatile)*\s*(.*)\)$/.exec(before.slice(openingOf(before) + 1))?.[1];
    return inner === undefined ? undefined : nameIn(inner);
  }
  return before.slice(startOfName(before));
}

/// Where the parenthesis opens that closes at the end.
function openingOf(text: string): number {
  let depth = 0;
  for (let at = text.length - 1; at >= 0; at--) {
    if (text[at] === ')') depth++;
    else if (text[at] === '(' && --depth === 0) return at;
  }
  return -1;
}

/// Behind the last blank outside of brackets; not those in the name of an operator, or behind a function that is a scope.
function startOfName(text: string): number {
  let start = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if ('<([{'.includes(character)) depth++;
    else if ('>)]}'.includes(character) && text[at - 1] !== '-') depth--;
    else if (depth !== 0) continue;
    else if (character === ' ' && !/^ (?:const|volatile|&&?)(?:::| )/.test(text.slice(at, at + 11))) start = at + 1;
    else if (character === 'o' && OPERATOR.test(text.slice(at, at + 9)) && !WORD.test(text[at - 1] ?? '')) break;
  }
  return start;
}
