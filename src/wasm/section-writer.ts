/**
 * The order in which a module is written anew: all sections in their ranks,
 * custom ones where they were. What a section becomes is the caller's.
 */

import { type Section, type SectionName, sectionOrder, sectionRank } from './layout.ts';

/**
 * Calls `write` for each section in the order that a module must keep: with the
 * original's if it has one, and once for each custom section of the original.
 */
export function inOrder(
  layout: readonly Section[],
  write: (name: SectionName, section: Section | undefined) => void,
): void {
  const sections = new Map(layout.map((section) => [section.name, section]));
  let rankWritten = -1;
  const writeUpTo = (rank: number): void => {
    for (const name of sectionOrder.slice(rankWritten + 1, rank + 1)) write(name, sections.get(name));
    rankWritten = Math.max(rank, rankWritten);
  };
  for (const section of layout) {
    if (section.name === 'custom') write('custom', section);
    else writeUpTo(sectionRank(section.name));
  }
  writeUpTo(sectionOrder.length - 1);
}
