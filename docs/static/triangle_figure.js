// The figure of triangle.js: the triangle of shares, net1's plane, three losses, and the controls.
"use strict";
(() => {
  const { corners, tables, target, sum, largest } = window.triangle, T = window.triangle;
  const root = document.querySelector(".simplex-figure");
  const start = { name: "softmax", tau: 1, logits: [1, 0.8, -0.5], seed: 1 }, steps = 200;
  const letters = ["A", "B", "C"], titles = ["The shares", "The same behind net1"];
  const boxes = ["0 0 340 300", "0 0 340 150"]; // of the two views, each by where it has A, B and C
  const views = [[[24, 282], [316, 282], [170, 30]], tables.map(([x, y]) => [164 + 120 * x, 74 - 120 * y])];
  const beside = [[[-17, 5], [17, 5], [0, -16]], [[-17, 5], [17, 5], [0, -16]]];
  let state = { ...start }, run = 0;

  const place = (view, p) => [0, 1].map((axis) => sum(p.map((x, k) => x * view[k][axis])));
  const path = (view, points) => points.map((p) => place(view, p).map((x) => x.toFixed(1))).join(" ");
  const polygon = (view, points, look) => `<polygon points="${path(view, points)}" class="${look}"/>`;
  const line = (view, points, look) => `<polyline points="${path(view, points)}" class="way ${look}"/>`;
  const symbols = { // shapes tell them apart as well as colours
    shown: "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0", argmax: "M-9,-9h18v18h-18z", search: "M0,-12L12,0L0,12L-12,0z",
    slope: "M-8,0a8,8 0 1,0 16,0a8,8 0 1,0 -16,0", target: "M-6,-6L6,6M-6,6L6,-6",
  };
  const mark = ([x, y], look, more = "") =>
    `<path class="mark ${look} ${more}" transform="translate(${x.toFixed(1)} ${y.toFixed(1)})${more && " scale(.6)"}" d="${symbols[look]}"/>`;
  const key = (look) => `<svg viewBox="-13 -13 26 26" aria-hidden="true">${mark([0, 0], look)}</svg>`;

  const cross = (a, b, c) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
  function shares(x) { // of the categories in a point behind net1
    const [a, b, c] = tables;
    return [cross(x, b, c), cross(a, x, c), cross(a, b, x)].map((area) => area / cross(a, b, c));
  }
  const ring = (loss) => Array.from({ length: 72 }, (_, i) => (i * Math.PI) / 36).map((turn) => {
    const [x, y] = target, radius = Math.sqrt(loss);
    return shares([x + radius * Math.cos(turn), y + radius * Math.sin(turn)]);
  });

  function drawn(number, found) {
    const view = views[number], p = T.softmax(state.logits, state.tau), row = T.argmax(state.logits);
    const [shown] = found.points, many = found.points.length > 1, best = T.nearest(shown);
    const levels = [1.2, 0.8, 0.5, 0.25, 0.1, 0.02].map((loss) => polygon(view, ring(loss), "level"));
    const text = (k) => place(view, corners[k]).map((x, axis) => x + beside[number][k][axis]);
    return [
      `<clipPath id="simplex-${number}">${polygon(view, corners, "")}</clipPath>`,
      `<g${number ? "" : ' clip-path="url(#simplex-0)"'}>${levels.join("")}</g>`,
      polygon(view, corners, "edge"), line(view, [p, row], "argmax"), many ? "" : line(view, [shown, best], "search"),
      mark(place(view, row), "argmax"), many ? "" : mark(place(view, best), "search"),
      ...found.points.map((point) => mark(place(view, point), "shown", many ? "many" : "")),
      state.name === "softmax" ? "" : mark(place(view, p), "slope"), mark(place(view, shares(target)), "target"),
      ...letters.map((it, k) => `<text x="${text(k)[0]}" y="${text(k)[1]}">${it}</text>`),
    ].join("");
  }

  function words(found) {
    const p = T.softmax(state.logits, state.tau), many = found.points.length > 1, [shown] = found.points;
    const named = (values) => letters[largest(values)], to = (x) => x.toFixed(2);
    const what = many ? `${found.points.length} draws` : Math.max(...shown) < 1 ? "the mixture" : `the row ${named(shown)}`;
    const search = many ? "A search from each draw" : `A search finds ${named(T.nearest(shown))}`;
    return `Softmax at tau ${to(state.tau)}: ${letters.map((it, k) => `${it} ${to(p[k])}`).join(", ")}; entropy ${to(T.entropy(p))} nats. `
      + `net1 is shown ${what}: loss ${to(found.relaxed)}. The argmax is ${named(state.logits)}: loss ${to(found.argmax)}. ${search}: loss ${to(found.search)}.`;
  }

  const field = (name, body) => `<label><span>${name}</span>${body}</label>`;
  const slider = (name, low, high, by) =>
    field(name, `<input type="range" name="${name}" aria-label="${name}" min="${low}" max="${high}" step="${by}"><output></output>`);
  const option = (name) => `<option>${name}</option>`;
  const bar = (look, name) => `<tr><th scope="row">${key(look)}${name}</th><td><i class="bar ${look}"></i></td><td><output name="${look}"></output></td></tr>`;
  root.innerHTML = `<form><div>${field("relaxation", `<select name="name" aria-label="relaxation">${T.names.map(option).join("")}</select>`)}
    ${slider("tau", -1, 1, 0.05)}</div><div>${letters.map((it) => slider(`logit ${it}`, -3, 3, 0.05)).join("")}</div>
    <div><button type="button" name="train">train ${steps} steps</button><button type="button" name="noise">new noise</button>
    <button type="button" name="reset">reset</button></div></form>
    ${titles.map((title, i) => `<figure><figcaption>${title}</figcaption><svg viewBox="${boxes[i]}" role="img"></svg></figure>`).join("")}
    <table><caption>Loss: squared distance from the target, behind net1</caption><tbody>${bar("shown", "what net1 is shown")}
    ${bar("argmax", "the argmax row")}${bar("search", "the row of a search")}</tbody></table><p aria-live="polite"></p>`;
  const find = (selector) => root.querySelector(selector), field_of = (name) => find(`[name="${name}"]`);

  function show() {
    const found = T.losses(state.name, state.logits, state.tau, T.draw(T.noise(state.seed), 200));
    const values = { tau: Math.log10(state.tau), ...Object.fromEntries(letters.map((it, k) => [`logit ${it}`, state.logits[k]])) };
    for (const [name, value] of Object.entries(values)) {
      field_of(name).value = value;
      const shown = (name === "tau" ? state.tau : value).toFixed(2);
      field_of(name).nextSibling.value = shown;
      field_of(name).setAttribute("aria-valuetext", shown);
    }
    field_of("name").value = state.name;
    for (const [look, loss] of Object.entries({ shown: found.relaxed, argmax: found.argmax, search: found.search })) {
      find(`.bar.${look}`).style.width = `${Math.min(100, (100 * loss) / 1.4)}%`;
      find(`output[name="${look}"]`).value = loss.toFixed(2);
    }
    root.querySelectorAll("figure svg").forEach((svg, i) => {
      svg.innerHTML = drawn(i, found);
      svg.setAttribute("aria-label", `${titles[i]}. ${words(found)}`);
    });
    return found;
  }
  function tell() { // in words only when all is at rest
    find("p").textContent = words(show());
  }

  function train(own, source, done = 0) {
    if (own !== run) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches, until = still ? steps : done + 5;
    for (; done < until; done++) state.logits = T.step(state.name, state.logits, state.tau, source);
    if (done >= steps) return tell();
    show();
    requestAnimationFrame(() => train(own, source, done));
  }

  const change = {
    name: (value) => ({ name: value }), tau: (value) => ({ tau: 10 ** value }),
    ...Object.fromEntries(letters.map((it, k) => [`logit ${it}`, (value) => ({ logits: state.logits.with(k, Number(value)) })])),
  };
  const press = { noise: () => ({ seed: state.seed + 1 }), reset: () => start, train: () => state };
  find("form").addEventListener("input", ({ target: { name, value } }) => {
    run++;
    Object.assign(state, change[name](value));
    tell();
  });
  find("form").addEventListener("click", ({ target: { name } }) => {
    if (!press[name]) return;
    Object.assign(state, press[name]());
    run++;
    name === "train" ? train(run, T.noise(state.seed)) : tell();
  });
  find("form").addEventListener("submit", (event) => event.preventDefault());
  tell();
})();
