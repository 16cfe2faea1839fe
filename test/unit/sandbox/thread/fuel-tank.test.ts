import { describe, expect, test } from 'vitest';
import { resolveLimits } from '../../../../src/model/limits.ts';
import { ControlBlock } from '../../../../src/sandbox/control-block.ts';
import { type FuelCounter, FuelTank } from '../../../../src/sandbox/thread/fuel-tank.ts';
import { fuelSliceUnits } from '../../../../src/wasm/metering/costs.ts';
import { ManualClock } from '../../base/manual-clock.ts';

const slice = BigInt(fuelSliceUnits);

interface Options {
  readonly fuel?: number;
  readonly cpuPercent?: number;
  readonly watch?: { readonly sliceUnits: number; readonly look: () => void };
}

/** A control block whose waits pass on the clock, without the thread. */
class ManualControl extends ControlBlock {
  readonly waits: number[] = [];
  readonly #clock: ManualClock;
  /** Called in each wait. */
  onWait: (() => void) | undefined;

  constructor(clock: ManualClock) {
    super();
    this.#clock = clock;
  }

  override waitForStop(ms: number): void {
    this.waits.push(ms);
    this.onWait?.();
    if (!this.isStopRequested) void this.#clock.advance(ms);
  }
}

/** A tank, and a guest that consists of its counter alone. */
class Guest {
  readonly clock = new ManualClock();
  readonly control = new ManualControl(this.clock);
  readonly counter: FuelCounter = new WebAssembly.Global({ value: 'i64', mutable: true }, 0n);
  readonly faults: unknown[] = [];
  readonly tank: FuelTank;

  constructor({ watch, ...limits }: Options = {}) {
    this.tank = new FuelTank({
      control: this.control,
      clock: this.clock,
      limits: resolveLimits(limits, {}),
      watch,
      onFault: (error) => this.faults.push(error),
    });
    this.tank.attach(this.counter);
  }

  /** Spends units as metered code does, and answers whether it may go on. */
  spend(units: bigint): boolean {
    this.counter.value -= units;
    return this.check();
  }

  check(): boolean {
    if (this.counter.value >= 0n) return true;
    const next = this.tank.refuel(this.counter.value);
    if (next < 0n) return false;
    this.counter.value = next;
    return true;
  }

  /** Spends without a check, as the end of a function may. */
  spendUnchecked(units: bigint): void {
    this.counter.value -= units;
  }
}

describe('FuelTank.refuel', () => {
  test('grants one slice at a time', () => {
    const { tank } = new Guest();
    expect(tank.refuel(0n)).toBe(slice);
    expect(tank.refuel(0n)).toBe(slice);
  });

  test('adds the slice to what is left, so that asking early loses nothing', () => {
    const { tank, counter } = new Guest();
    counter.value = tank.refuel(0n);
    counter.value = tank.refuel(counter.value - 10n);
    expect(counter.value).toBe(2n * slice - 10n);
    expect(tank.used).toBe(10);
  });

  test.each([1n, slice, 100n * slice])(
    'lets a guest that overdrew by %d units go on with a whole slice',
    (overdraft) => {
      const { tank, counter } = new Guest();
      counter.value = tank.refuel(-overdraft);
      expect(counter.value).toBe(slice);
      expect(tank.used).toBe(Number(overdraft));
    },
  );

  test('tells the main thread what was used until then', () => {
    const { control, tank } = new Guest();
    tank.refuel(0n);
    expect(control.meters.fuel).toBe(0);
    tank.refuel(-5n);
    expect(control.meters.fuel).toBe(fuelSliceUnits + 5);
  });

  test('never answers less than 0 while work may go on, and never what is left', () => {
    const limit = 3 * fuelSliceUnits + 7;
    const guest = new Guest({ fuel: limit });
    let used = 0n;
    for (let step = 1n; ; step = (step * 7n) % 1_000_003n) {
      used += step;
      const goesOn = guest.spend(step);
      expect(goesOn).toBe(used <= BigInt(limit));
      if (!goesOn) break;
      expect(guest.counter.value).toBeGreaterThanOrEqual(0n);
      expect(guest.tank.used).toBe(Number(used));
    }
    expect(guest.tank.verdict).toBe('FUEL');
  });

  test('is told of a fault of the host, and has the guest trap where it cannot catch it', () => {
    const fault = new TypeError('no');
    const look = (): never => {
      throw fault;
    };
    const { tank, faults } = new Guest({ watch: { sliceUnits: 10, look } });
    expect(tank.refuel(0n)).toBe(-1n);
    expect(faults).toEqual([fault]);
  });

  test('lets an overflow of the stack pass, which no guest can catch', () => {
    const look = (): void => look();
    const { tank, faults } = new Guest({ watch: { sliceUnits: 10, look } });
    expect(() => tank.refuel(0n)).toThrow(RangeError);
    expect(faults).toEqual([]);
  });
});

describe('The limit of a FuelTank', () => {
  test.each([1, fuelSliceUnits - 1, fuelSliceUnits, fuelSliceUnits + 1, 3 * fuelSliceUnits])(
    'of %d units is sharp',
    (fuel) => {
      const just = new Guest({ fuel });
      for (let spent = 0; spent < fuel - 1; spent += 65_537) {
        expect(just.spend(BigInt(Math.min(65_537, fuel - 1 - spent)))).toBe(true);
      }
      expect(just.spend(1n)).toBe(true);
      expect([just.tank.verdict, just.tank.used]).toEqual([undefined, fuel]);
      expect(just.spend(1n)).toBe(false);
      expect([just.tank.verdict, just.tank.used]).toEqual(['FUEL', fuel + 1]);
    },
  );

  test('grants nothing, but no refusal either, to who has used exactly all', () => {
    const { tank, counter } = new Guest({ fuel: 100 });
    counter.value = tank.refuel(0n);
    expect(counter.value).toBe(100n);
    expect(tank.refuel(-1n)).toBe(-1n);
    const exact = new Guest({ fuel: 100 });
    expect(exact.tank.refuel(-100n)).toBe(0n);
  });

  test('holds for last charges that nothing checked', () => {
    const guest = new Guest({ fuel: 100 });
    expect(guest.spend(100n)).toBe(true);
    expect(guest.tank.verdict).toBeUndefined();
    guest.spendUnchecked(1n);
    expect(guest.tank.verdict).toBe('FUEL');
  });

  test('is the same for smaller slices, at which somebody looks', () => {
    let looks = 0;
    const guest = new Guest({ fuel: 1_000, watch: { sliceUnits: 10, look: () => looks++ } });
    for (let spent = 0; spent < 1_000; spent++) expect(guest.spend(1n)).toBe(true);
    expect(guest.spend(1n)).toBe(false);
    // Each slice is asked for by the unit that overdraws the last.
    expect(looks).toBe(1_001 / 11 + 1);
    expect(guest.tank.used).toBe(1_001);
  });
});

describe('FuelTank.charge', () => {
  test('counts for what was used', () => {
    const { tank } = new Guest();
    tank.charge(250);
    expect(tank.used).toBe(250);
  });

  test('is heeded at the next check, however much of the slice is left', () => {
    const guest = new Guest({ fuel: 1_000 });
    expect(guest.spend(10n)).toBe(true);
    guest.tank.charge(990);
    expect(guest.check()).toBe(true);
    guest.tank.charge(1);
    expect(guest.check()).toBe(false);
    expect([guest.tank.verdict, guest.tank.used]).toEqual(['FUEL', 1_001]);
  });

  test('may overdraw by many slices without a refusal', () => {
    const guest = new Guest();
    guest.tank.charge(50 * fuelSliceUnits);
    expect(guest.check()).toBe(true);
    expect(guest.counter.value).toBe(slice);
    expect(guest.tank.used).toBe(50 * fuelSliceUnits);
  });
});

describe('A wish to stop', () => {
  test('refuses the next slice, and every one after it', () => {
    const guest = new Guest();
    expect(guest.spend(1n)).toBe(true);
    guest.control.requestStop();
    expect(guest.spend(slice + 1n)).toBe(false);
    expect(guest.tank.refuel(0n)).toBe(-1n);
    expect(guest.tank.verdict).toBe('STOPPED');
  });

  test('that comes once the guest has ended changes nothing', () => {
    const guest = new Guest();
    guest.spend(5n);
    guest.control.requestStop();
    expect(guest.tank.verdict).toBeUndefined();
  });

  test('comes too late for a guest out of fuel', () => {
    const guest = new Guest({ fuel: 10 });
    expect(guest.spend(11n)).toBe(false);
    guest.control.requestStop();
    guest.tank.refuel(0n);
    expect(guest.tank.verdict).toBe('FUEL');
  });
});

describe('A FuelTank with a share of a processor', () => {
  test.each([
    [50, 10, 10],
    [25, 10, 30],
    [1, 10, 990],
  ])('of %d % lets a guest that ran %d ms wait %d ms', async (cpuPercent, ranMs, waitedMs) => {
    const { tank, clock, control } = new Guest({ cpuPercent });
    await clock.advance(ranMs);
    expect(tank.refuel(0n)).toBe(slice);
    expect(control.waits).toEqual([waitedMs]);
  });

  test('does not have the guest pay for the time that its instance took', async () => {
    const { tank, clock, control, counter } = new Guest({ cpuPercent: 50 });
    await clock.advance(1_000);
    tank.attach(counter);
    await clock.advance(10);
    tank.refuel(0n);
    expect(control.waits).toEqual([10]);
  });

  test('lets nobody wait who has it whole', async () => {
    const { tank, clock, control } = new Guest({ cpuPercent: 100 });
    await clock.advance(10_000);
    tank.refuel(0n);
    expect(control.waits).toEqual([]);
  });

  test('puts off waits that are too short, and forgets none', async () => {
    const { tank, clock, control } = new Guest({ cpuPercent: 50 });
    for (let round = 0; round < 5; round++) {
      await clock.advance(0.5);
      tank.refuel(0n);
    }
    expect(control.waits).toEqual([2]);
  });

  test('keeps to the share over time', async () => {
    const { tank, clock, control } = new Guest({ cpuPercent: 20 });
    const begin = clock.monotonic();
    for (let round = 0; round < 100; round++) {
      await clock.advance(1);
      tank.refuel(0n);
    }
    const waited = control.waits.reduce((sum, ms) => sum + ms, 0);
    expect(waited).toBeCloseTo(400, 6);
    expect(clock.monotonic() - begin).toBeCloseTo(500, 6);
  });

  test('is woken by a stop, and refuses', async () => {
    const { tank, clock, control } = new Guest({ cpuPercent: 1 });
    control.onWait = () => control.requestStop();
    await clock.advance(100);
    const before = clock.monotonic();
    expect(tank.refuel(0n)).toBe(-1n);
    expect(clock.monotonic()).toBe(before);
    expect(tank.verdict).toBe('STOPPED');
  });

  test('counts the same fuel as one that has it whole', async () => {
    const used = async (cpuPercent: number): Promise<number> => {
      const guest = new Guest({ cpuPercent });
      for (let round = 0; round < 10; round++) {
        guest.spend(slice / 3n);
        await guest.clock.advance(7);
      }
      return guest.tank.used;
    };
    expect(await used(10)).toBe(await used(100));
  });
});
