// The table of spec/fgraph.md §1.5, word by word. A filter is `undefined` where there is no hash, which stands for everything;
// an array without an element is no function.

export class Manager<Site> {
  filter: Set<Site> | 'all' = new Set();
  notrace = new Set<Site>();
  #isEmpty = true;

  /// One more subops, in order of registration.
  add(filter: readonly Site[] | undefined, notrace: readonly Site[] | undefined): void {
    const rest = filter && new Set(filter.filter((site) => !notrace?.includes(site)));
    if (this.#isEmpty) {
      this.filter = rest ?? 'all';
      this.notrace = new Set(rest ? [] : notrace);
    } else if (this.filter !== 'all' && rest) {
      for (const site of rest) this.filter.add(site);
    } else {
      this.filter = 'all';
      this.notrace = new Set([...this.notrace].filter((site) => notrace?.includes(site)));
    }
    this.#isEmpty = false;
  }

  has(site: Site): boolean {
    return (this.filter === 'all' || this.filter.has(site)) && !this.notrace.has(site);
  }
}
