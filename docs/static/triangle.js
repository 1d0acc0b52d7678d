// One column of three categories: what net1 is shown of it, what each decoder makes of that, and a
// step of training. Only the mathematics, which a test holds against tabkit's.
"use strict";
window.triangle = (() => {
  const tables = [[-1, -0.15], [1.1, -0.25], [0.1, 0.3]]; // W: where net1 sees the categories
  const target = [-0.045, -0.095]; // where it sees the true row
  const corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const mean = (values) => sum(values) / values.length;
  const dot = (a, b) => sum(a.map((x, i) => x * b[i]));
  const plus = (a, b) => a.map((x, i) => x + b[i]);
  const largest = (values) => values.indexOf(Math.max(...values));

  function softmax(logits, tau) {
    const top = Math.max(...logits);
    const powers = logits.map((x) => Math.exp((x - top) / tau));
    return powers.map((x) => x / sum(powers));
  }
  const argmax = (logits) => corners[largest(logits)];
  const entropy = (p) => -sum(p.map((x) => (x > 0 ? x * Math.log(x) : 0)));
  const embed = (p) => [0, 1].map((axis) => sum(p.map((x, k) => x * tables[k][axis])));
  const apart = (a, b) => sum(a.map((x, i) => (x - b[i]) ** 2));
  const loss = (p) => apart(embed(p), target);
  const nearest = (p) => corners[largest(corners.map((c) => -apart(embed(c), embed(p))))];

  // Of logits and noise: what net1 is shown, and the point at which the gradient is taken.
  const relaxations = {
    softmax: (logits, tau) => [softmax(logits, tau), softmax(logits, tau)],
    straight_through_argmax: (logits, tau) => [argmax(logits), softmax(logits, tau)],
    gumbel_softmax: (logits, tau, noise) => {
      const soft = softmax(plus(logits, noise), tau);
      return [soft, soft];
    },
    straight_through_gumbel: (logits, tau, noise) => {
      const noisy = plus(logits, noise);
      return [argmax(noisy), softmax(noisy, tau)];
    },
  };
  const sampled = (name) => name.includes("gumbel");

  function gradient(name, logits, tau, noise) {
    const [shown, soft] = relaxations[name](logits, tau, noise);
    const off = embed(shown).map((x, axis) => 2 * (x - target[axis]));
    const slope = tables.map((row) => dot(row, off)); // of the loss, by category
    return soft.map((p, k) => (p * (slope[k] - dot(soft, slope))) / tau);
  }

  function* noise(seed) { // mulberry32's uniform numbers, three a draw, as Gumbel noise
    const uniform = () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
    while (true) yield corners.map(() => -Math.log(-Math.log(uniform())));
  }
  const draw = (source, many) => Array.from({ length: many }, () => source.next().value);

  function step(name, logits, tau, source) {
    const draws = draw(source, sampled(name) ? 16 : 1);
    const found = draws.map((noise) => gradient(name, logits, tau, noise));
    return logits.map((x, k) => x - 0.3 * mean(found.map((g) => g[k])));
  }

  function losses(name, logits, tau, noises) {
    const all = sampled(name) ? noises : noises.slice(0, 1);
    const points = all.map((noise) => relaxations[name](logits, tau, noise)[0]);
    return {
      points,
      relaxed: mean(points.map(loss)),
      argmax: loss(argmax(logits)),
      search: mean(points.map((p) => loss(nearest(p)))),
    };
  }
  return {
    tables, target, corners, names: Object.keys(relaxations), sum, largest,
    softmax, argmax, entropy, loss, nearest, relaxations, gradient, noise, draw, step, losses,
  };
})();
