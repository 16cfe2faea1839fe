/* A bytecode interpreter: one loop around a jump table. */
enum { PUSH, ADD, SUB, MUL, DUP, SWAP, LOAD, STORE, JNZ, HALT };

static const int program[] = {
    PUSH, 0, STORE, 0, PUSH, 1000, STORE, 1,
    LOAD, 0, LOAD, 1, DUP, MUL, ADD, LOAD, 2, SUB, STORE, 0,
    LOAD, 1, PUSH, 1, SUB, DUP, STORE, 1, JNZ, 8, HALT,
};

__attribute__((noinline)) static int interpret(const int *code, int seed) {
  int stack[16], vars[4], sp = 0, pc = 0;
  vars[2] = seed;
  for (;;) {
    switch (code[pc++]) {
      case PUSH: stack[sp++] = code[pc++]; break;
      case ADD: sp--; stack[sp - 1] += stack[sp]; break;
      case SUB: sp--; stack[sp - 1] -= stack[sp]; break;
      case MUL: sp--; stack[sp - 1] *= stack[sp]; break;
      case DUP: stack[sp] = stack[sp - 1]; sp++; break;
      case SWAP: { int t = stack[sp - 1]; stack[sp - 1] = stack[sp - 2]; stack[sp - 2] = t; break; }
      case LOAD: stack[sp++] = vars[code[pc++]]; break;
      case STORE: vars[code[pc++]] = stack[--sp]; break;
      case JNZ: pc = stack[--sp] ? code[pc] : pc + 1; break;
      default: return vars[0];
    }
  }
}

__attribute__((export_name("run"))) int run(int n) {
  int sum = 0;
  for (int r = 0; r < n; r++) sum += interpret(program, r);
  return sum;
}
