import { describe, expect, test } from 'vitest';
import { behindMax, ChangeFeed } from '../../../src/cluster/change-feed.ts';
import type { VersionChange } from '../../../src/plugins/followed-version.ts';
import { ManualClock, settled } from '../base/manual-clock.ts';
import { MemoryLog } from '../plugins/fakes.ts';

const change: VersionChange = { type: 'STORAGE_DROPPED', plugin: 'echo' };

function follower(feed: ChangeFeed, number = 1) {
  const sent: number[] = [];
  let dropped = false;
  const place = feed.follow({
    number,
    send: (sequence) => void sent.push(sequence),
    drop: () => {
      dropped = true;
    },
  });
  return { sent, place, isDropped: () => dropped };
}

function feedOf() {
  const [clock, log] = [new ManualClock(), new MemoryLog()];
  return { feed: new ChangeFeed({ clock, log }), clock, log };
}

/** Whether it has settled so far. */
async function hasSettled(promise: Promise<void>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  await settled();
  return done;
}

describe('ChangeFeed', () => {
  test('tells every follower each change from its beginning on, in order', () => {
    const { feed } = feedOf();
    feed.changed(change);
    const one = follower(feed);
    feed.changed(change);
    const other = follower(feed);
    feed.changed(change);
    expect([one.sent, other.sent]).toEqual([[2, 3], [3]]);
  });

  test('has settled at once without followers, and with those that are up to date', async () => {
    const { feed } = feedOf();
    feed.changed(change);
    expect(await hasSettled(feed.settled())).toBe(true);
    follower(feed);
    expect(await hasSettled(feed.settled())).toBe(true);
  });

  test('settles when every follower has applied all changes before, in whatever order, and not those after', async () => {
    const { feed, clock } = feedOf();
    const [one, other] = [follower(feed), follower(feed, 2)];
    feed.changed(change);
    feed.changed(change);
    const waiting = feed.settled();
    feed.changed(change);
    one.place.applied(2);
    one.place.applied(1);
    expect(await hasSettled(waiting)).toBe(false);
    other.place.applied(1);
    other.place.applied(2);
    expect(await hasSettled(waiting)).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test('does not wait for a follower that goes', async () => {
    const { feed } = feedOf();
    const { place } = follower(feed);
    feed.changed(change);
    const waiting = feed.settled();
    place[Symbol.dispose]();
    expect(await hasSettled(waiting)).toBe(true);
  });

  test('waits for a slow follower so long and no longer', async () => {
    const { feed, clock, log } = feedOf();
    follower(feed, 7);
    feed.changed(change);
    const waiting = feed.settled();
    await clock.advance(9_999);
    expect(await hasSettled(waiting)).toBe(false);
    await clock.advance(1);
    expect(await hasSettled(waiting)).toBe(true);
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { follower: 7 } }]);
  });

  test('drops a follower that falls too far behind', () => {
    const { feed } = feedOf();
    const { isDropped } = follower(feed);
    for (let count = 0; count < behindMax; count++) feed.changed(change);
    expect(isDropped()).toBe(false);
    feed.changed(change);
    expect(isDropped()).toBe(true);
  });
});
