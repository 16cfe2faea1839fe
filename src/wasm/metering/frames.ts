/** The stack of open blocks while a body is planned. It holds facts of frames; what they mean is the planner's. */

export const frameKinds = { function: 0, block: 1, loop: 2, if: 3, else: 4, try: 5 } as const;

const startDepth = 64;

export class FrameStack {
  depth = 0;
  kinds = new Uint8Array(startDepth);
  /** The metered block in which the frame was opened; -1 if that place cannot be reached. */
  outer = new Int32Array(startDepth);
  /** The lowest frame that a branch inside the frame goes to. */
  lowest = new Int32Array(startDepth);
  /** Whether the frame's end is reached by a branch or at the end of an arm. */
  reached = new Uint8Array(startDepth);
  /** Junction of the branches to the frame's label; -1 as long as there is none. Loops have none. */
  junctions = new Int32Array(startDepth);
  /** Junction where an if divides; -1 of other frames. */
  divisions = new Int32Array(startDepth);
  /** The innermost loop around the frame; -1 if there is none. */
  outerLoop = new Int32Array(startDepth);
  /** Frame of the innermost loop around the frame. */
  outerLoopFrame = new Int32Array(startDepth);

  push(kind: number, outer: number): number {
    const frame = this.depth++;
    if (frame === this.kinds.length) this.#grow();
    this.kinds[frame] = kind;
    this.outer[frame] = outer;
    this.lowest[frame] = frame;
    this.reached[frame] = 0;
    this.junctions[frame] = -1;
    this.divisions[frame] = -1;
    return frame;
  }

  /** Notes a branch from the innermost frame to another. */
  branchTo(target: number): void {
    this.reached[target] = 1;
    this.escapeTo(target);
  }

  /** Notes that every frame inside another may be left. */
  escapeTo(target: number): void {
    const top = this.depth - 1;
    if (target < (this.lowest[top] as number)) this.lowest[top] = target;
  }

  /** Closes the innermost frame; true if a branch left it for a frame outside. */
  pop(): boolean {
    const frame = --this.depth;
    const lowest = this.lowest[frame] as number;
    if (frame > 0 && lowest < (this.lowest[frame - 1] as number)) this.lowest[frame - 1] = lowest;
    return lowest < frame;
  }

  #grow(): void {
    const length = this.kinds.length * 2;
    this.kinds = grown(this.kinds, new Uint8Array(length));
    this.reached = grown(this.reached, new Uint8Array(length));
    this.outer = grown(this.outer, new Int32Array(length));
    this.lowest = grown(this.lowest, new Int32Array(length));
    this.junctions = grown(this.junctions, new Int32Array(length));
    this.divisions = grown(this.divisions, new Int32Array(length));
    this.outerLoop = grown(this.outerLoop, new Int32Array(length));
    this.outerLoopFrame = grown(this.outerLoopFrame, new Int32Array(length));
  }
}

function grown<T extends Uint8Array | Int32Array>(old: T, longer: T): T {
  longer.set(old);
  return longer;
}
