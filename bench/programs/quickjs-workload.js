/* What QuickJS is measured with: sorting, objects, strings, closures, regular expressions and JSON. */

function numbers(count, seed) {
  const list = [];
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    list.push(state % 100000);
  }
  return list;
}

/* Sorted by a comparison of its own, so that the interpreter calls back. */
function sorting(seed) {
  const list = numbers(600, seed).sort((a, b) => a - b);
  return list[0] + list[300] * 3 + list[599] * 7;
}

class Point {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }
  plus(other) {
    return new Point(this.x + other.x, this.y + other.y);
  }
  get length() {
    return Math.sqrt(this.x * this.x + this.y * this.y);
  }
}

function objects(seed) {
  let sum = new Point(seed, 1);
  const counts = new Map();
  for (let i = 0; i < 600; i++) {
    const point = new Point(i & 15, i >> 4);
    sum = sum.plus(point);
    const key = `k${point.x}`;
    counts.set(key, (counts.get(key) ?? 0) + point.y);
  }
  return Math.floor(sum.length) + [...counts.values()].reduce((total, count) => total + count, 0);
}

function strings(seed) {
  const words = [];
  for (let i = 0; i < 250; i++) words.push(`word${(i * seed) % 97}`);
  const text = words.join(' ');
  const upper = text.replace(/o(r)d/g, (_, letter) => letter.toUpperCase());
  const parsed = JSON.parse(JSON.stringify({ text: upper, parts: upper.split(' ').slice(0, 50) }));
  let hash = 0;
  for (let i = 0; i < parsed.text.length; i += 3) hash = (Math.imul(hash, 31) + parsed.text.charCodeAt(i)) | 0;
  return (hash >>> 0) + parsed.parts.length;
}

function closures(seed) {
  const compose = (first, second) => (value) => second(first(value));
  let chain = (value) => value + seed;
  for (let i = 0; i < 20; i++) chain = compose(chain, (value) => (value * 3 + i) % 10007);
  let sum = 0;
  for (let i = 0; i < 100; i++) sum += chain(i);
  return sum;
}

function recursion(n) {
  return n < 2 ? n : recursion(n - 1) + recursion(n - 2);
}

globalThis.workload = function workload(turns) {
  let result = 0;
  for (let turn = 1; turn <= turns; turn++) {
    result = (result + sorting(turn) + objects(turn) + strings(turn) + closures(turn) + recursion(13)) % 1e9;
  }
  return result;
};
