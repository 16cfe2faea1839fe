import { describe, expect, test } from 'vitest';
import type { RunNote } from '../../../src/cluster/link-topics.ts';
import { batchVersionsMax, RunNotes } from '../../../src/cluster/run-notes.ts';
import type { PluginVersion } from '../../../src/model/plugin.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { checkedManifest } from '../plugins/fixtures.ts';

function versionOf(version = '1.0.0'): PluginVersion {
  const manifest = checkedManifest({ version });
  return { manifest, digest: 'sha256:ab' } as unknown as PluginVersion;
}

function notesOf() {
  const clock = new ManualClock();
  const told: (readonly RunNote[])[] = [];
  return { clock, told, notes: new RunNotes({ clock, tell: (batch) => void told.push(batch) }) };
}

const facts = (trapped: boolean) => ({ trapped, nearMemoryLimit: false });

describe('RunNotes', () => {
  test('tells what came in a tenth of a second in one batch', async () => {
    const { clock, told, notes } = notesOf();
    const version = versionOf();
    notes.add(version, facts(true));
    notes.add(version, facts(false));
    await clock.advance(99);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual([
      [
        { reference: 'echo@1.0.0', digest: 'sha256:ab', facts: facts(true) },
        { reference: 'echo@1.0.0', digest: 'sha256:ab', facts: facts(false) },
      ],
    ]);
    await clock.advance(1_000);
    expect(told).toHaveLength(1);
  });

  test('tells no more of a version than its health looks back on, the newest', async () => {
    const { clock, told, notes } = notesOf();
    const version = versionOf();
    for (let run = 0; run < 21; run++) notes.add(version, facts(run === 0));
    await clock.advance(100);
    expect(told[0]).toHaveLength(20);
    expect(told[0]?.some((note) => note.facts.trapped)).toBe(false);
  });

  test('tells of so many versions and no more', async () => {
    const { clock, told, notes } = notesOf();
    const versions = Array.from({ length: batchVersionsMax + 1 }, () => versionOf());
    for (const version of versions) notes.add(version, facts(false));
    notes.add(versions[0] ?? versionOf(), facts(false));
    await clock.advance(100);
    expect(told[0]).toHaveLength(batchVersionsMax + 1);
  });

  test('tells nothing once disposed', async () => {
    const { clock, told, notes } = notesOf();
    notes.add(versionOf(), facts(false));
    notes[Symbol.dispose]();
    expect(clock.timers).toBe(0);
    expect(told).toEqual([]);
  });
});
