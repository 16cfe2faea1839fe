/**
 * The operator's policy: what tenants and plugins are allowed, and where secrets
 * and folders are that plugins know by name only. It never changes; whoever reads
 * the file again makes another. It reads nothing itself.
 */

import type { FieldViolation } from '../model/exec-error.ts';
import type { Grant } from '../model/grant.ts';
import type { GrantExplanation } from '../model/grant-explanation.ts';
import type { LimitCaps } from '../model/limit-caps.ts';
import type { Manifest } from '../model/manifest.ts';
import { capsOf, decide, type GrantDecision, type GrantSubject } from './decision.ts';
import { explain } from './explanation.ts';
import { readPolicy } from './policy-schema.ts';
import { builtInRule, type PolicyRule, ruleMatches, type RuleSubject, type SecretSource } from './rule.ts';

export interface PolicyText {
  /** Undefined if there is any violation. */
  readonly policy: Policy | undefined;
  readonly violations: readonly FieldViolation[];
}

/** Whom a grant was made for. */
type Granted = Pick<Grant, 'tenant' | 'plugin'>;

/** Decisions remembered, and pairs of tenant and plugin whose rules are; when there are so many, all are forgotten. */
export const decisionsMax = 10_000;

/** What holds for one tenant and plugin. */
interface Ruling {
  readonly rules: readonly PolicyRule[];
  readonly caps: LimitCaps;
}

export class Policy {
  /** What holds where there is no policy file. */
  static readonly builtIn = new Policy([builtInRule], true);

  readonly #rules: readonly PolicyRule[];
  readonly #isBuiltIn: boolean;
  /** By manifest, which is one object for each version, and by tenant. */
  #decisions = new WeakMap<Manifest, Map<string, GrantDecision>>();
  #decisionCount = 0;
  /** By tenant and plugin. */
  readonly #rulings = new Map<string, Ruling>();

  private constructor(rules: readonly PolicyRule[], isBuiltIn: boolean) {
    this.#rules = rules;
    this.#isBuiltIn = isBuiltIn;
  }

  /** The policy that a text describes, or everything that is wrong with it. */
  static read(text: string): PolicyText {
    const { rules, violations } = readPolicy(text);
    return { policy: rules && new Policy(rules, false), violations };
  }

  /** What a plugin may do for a tenant, and what it asks for in vain. The same objects again for the same manifest. */
  grantFor(subject: GrantSubject): GrantDecision {
    const known = this.#decisions.get(subject.manifest)?.get(subject.tenant);
    if (known) return known;
    const who = { tenant: subject.tenant, plugin: subject.manifest.name };
    const decision = decide(subject, { ...who, rules: this.#matching(who), isBuiltIn: this.#isBuiltIn });
    this.#remember(subject, decision);
    return decision;
  }

  /** The maxima of limits for runs of a plugin for a tenant. */
  limitsFor(tenant: string, plugin: string): LimitCaps {
    return this.#rulingFor({ tenant, plugin }).caps;
  }

  /** Where a secret of the grant is; undefined if the grant does not cover it. The first rule that has it counts. */
  secretSource(grant: Granted & Pick<Grant, 'secrets'>, name: string): SecretSource | undefined {
    if (!grant.secrets.includes(name)) return undefined;
    return this.#matching(grant)
      .find(({ secrets }) => secrets.has(name))
      ?.secrets.get(name);
  }

  /** The host's folder of a name that the grant mounts; undefined if it does not. The first rule that has it counts. */
  mountDirectory(grant: Granted & Pick<Grant, 'wasi'>, name: string): string | undefined {
    if (!grant.wasi.mounts.some((mount) => mount.name === name)) return undefined;
    return this.#matching(grant)
      .find(({ mounts }) => mounts.has(name))
      ?.mounts.get(name);
  }

  /** Names of the rules that hold for whom a grant was made, for messages. */
  rulesFor(grant: Granted): readonly string[] {
    return this.#matching(grant).map(({ name }) => name);
  }

  /** The decision with all that led to it. */
  explain(subject: GrantSubject): GrantExplanation {
    const { tenant, manifest } = subject;
    const rules = this.#matching({ tenant, plugin: manifest.name });
    return explain(rules, subject, this.grantFor(subject));
  }

  #matching(subject: RuleSubject): readonly PolicyRule[] {
    return this.#rulingFor(subject).rules;
  }

  #rulingFor(subject: RuleSubject): Ruling {
    // No name holds a space.
    const key = `${subject.tenant} ${subject.plugin}`;
    const known = this.#rulings.get(key);
    if (known) return known;
    const rules = this.#rules.filter((rule) => ruleMatches(rule, subject));
    const ruling = { rules, caps: capsOf(rules) };
    if (this.#rulings.size >= decisionsMax) this.#rulings.clear();
    this.#rulings.set(key, ruling);
    return ruling;
  }

  #remember({ tenant, manifest }: GrantSubject, decision: GrantDecision): void {
    if (this.#decisionCount >= decisionsMax) {
      this.#decisions = new WeakMap();
      this.#decisionCount = 0;
    }
    const ofManifest = this.#decisions.get(manifest) ?? new Map<string, GrantDecision>();
    this.#decisions.set(manifest, ofManifest.set(tenant, decision));
    this.#decisionCount += 1;
  }
}
