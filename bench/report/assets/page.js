// SPDX-License-Identifier: Apache-2.0
//
// Draws the plots of the benchmark's page out of the data at its end (bench/report/plots.cpp), and switches light and dark.
// Colours are classes and variables of page.css, so a change of theme draws nothing again; a change of width does.
(() => {
  "use strict";

  // ---- figures, as bench/report/format.cpp prints them ----
  const SCALES = {
    "ns": [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9]],
    "B": [["B", 1], ["KiB", 2 ** 10], ["MiB", 2 ** 20], ["GiB", 2 ** 30]],
    "1/s": [["/s", 1], ["k/s", 1e3], ["M/s", 1e6], ["G/s", 1e9]],
    "B/s": [["B/s", 1], ["kB/s", 1e3], ["MB/s", 1e6], ["GB/s", 1e9]],
  };
  const format = (value, unit) => {
    const scales = SCALES[unit] ?? [[unit === "percent" ? "%" : unit === "ratio" ? "" : unit, 1]];
    let at = 0;
    while (at + 1 < scales.length && Math.abs(value) >= 999.5 * scales[at][1]) ++at;
    return `${Number((value / scales[at][1]).toPrecision(3))} ${scales[at][0]}`.trim();
  };

  // ---- axes ----
  // On a log axis of so many pixels: round values, of 1-2-5 steps the densest that has room; over less than a decade what d3 offers, where there is room.
  const spaced = (values, low, high, pixels, apart) => {
    const at = v => (Math.log(v / low) / Math.log(high / low)) * pixels;
    return values.reduce((kept, v) => (kept.length === 0 || at(v) - at(kept.at(-1)) >= apart ? [...kept, v] : kept), []);
  };
  const logTicks = (low, high, pixels, apart) => {
    for (const steps of [[1, 2, 5], [1, 3], [1]]) {
      const powers = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
      const ticks = powers.flatMap(power => steps.map(step => step * 10 ** power)).filter(v => v >= low && v <= high);
      if (ticks.length < 3 && steps.length === 3) return spaced(d3.ticks(low, high, pixels / apart), low, high, pixels, apart);
      const kept = spaced(ticks, low, high, pixels, apart);
      if (kept.length === ticks.length || steps.length === 1) return kept;
    }
  };
  // Plot's own log axis leaves labels out; these have just the ticks and texts that they are given.
  const axes = (xs, xText, ys, yText) => [
    Plot.gridX(xs), Plot.gridY(ys), Plot.axisX(xs, { text: xText, label: null, tickSize: 0 }), Plot.axisY(ys, { text: yText, label: null, tickSize: 0 }),
  ];
  const padded = (low, high) => { const by = Math.max(1.1, (high / low) ** 0.05); return [low / by, high * by]; };
  const base = (plot, width) => ({ width, marginTop: 10, marginRight: 20, marginBottom: 28, ariaLabel: plot.description });
  const stroke = line => ({ stroke: `var(--${line.colour})`, strokeDasharray: line.dash || null, strokeWidth: /^(native|container|thread)$/.test(line.colour) ? 2.25 : 1.5 });

  // ---- the three kinds ----
  const SHARES = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999];
  const logit = p => Math.log(p / (1 - p));
  const share = z => { const p = 1 / (1 + Math.exp(-z)); return p < 0.1 ? `${Number((p * 100).toPrecision(1))} %` : `${Number((100 - Number(((1 - p) * 100).toPrecision(2))).toFixed(3))} %`; };

  const distribution = (plot, width) => {
    const points = plot.lines.flatMap(line => line.points.map(([value, z]) => ({ value, z, name: line.name })));
    const [low, high] = d3.extent(points, p => p.value), [bottom, top] = d3.extent(points, p => p.z);
    return Plot.plot({
      ...base(plot, width), height: 280, marginLeft: 52,
      x: { type: "log", domain: [low, high], axis: null },
      y: { domain: [bottom, top], axis: null },
      marks: [
        ...axes(logTicks(low, high, width - 72, 64), v => format(v, plot.unit), SHARES.map(logit).filter(z => z >= bottom && z <= top), share),
        ...plot.lines.toReversed().map(line => Plot.line(line.points, { x: p => p[0], y: p => p[1], ...stroke(line) })),
        Plot.tip(points, Plot.pointer({ x: "value", y: "z", title: p => `${p.name}\n${share(p.z)} took at most ${format(p.value, plot.unit)}`, fill: "var(--ground)", stroke: "var(--rule)" })),
      ],
    });
  };

  const growth = (plot, width) => {
    const points = plot.lines.flatMap(line => line.points.map(([x, y, from, to, label]) => ({ x, y, from, to, label, name: line.name, colour: `var(--${line.colour})` })));
    const xs = d3.sort(d3.union(points.map(p => p.x))), labels = new Map(points.map(p => [p.x, p.label]));
    const positive = points.every(p => p.y > 0 && p.from > 0), [low, high] = d3.extent(points.flatMap(p => [p.y, p.from, p.to]));
    const domain = positive ? padded(low, high) : [Math.min(0, low), high];
    return Plot.plot({
      ...base(plot, width), height: 280, marginLeft: 62,
      x: { type: xs[0] > 0 ? "log" : "linear", axis: null },
      y: { type: positive ? "log" : "linear", domain, axis: null },
      marks: [
        ...axes(xs[0] > 0 ? spaced(xs, xs[0], xs.at(-1), width - 82, 56) : xs, x => labels.get(x), positive ? logTicks(...domain, 240, 32) : d3.ticks(...domain, 6), v => format(v, plot.unit)),
        ...plot.lines.toReversed().map(line => Plot.line(line.points, { x: p => p[0], y: p => p[1], ...stroke(line) })),
        Plot.ruleX(points, { x: "x", y1: "from", y2: "to", stroke: "colour", strokeWidth: 1.5 }),
        Plot.dot(points, { x: "x", y: "y", fill: "colour", r: 2.75 }),
        Plot.tip(points, Plot.pointer({ x: "x", y: "y", title: p => `${p.name}, ${p.label}\n${format(p.y, plot.unit)} (${format(p.from, plot.unit)} to ${format(p.to, plot.unit)})`, fill: "var(--ground)", stroke: "var(--rule)" })),
      ],
    });
  };

  const phases = (plot, width) => {
    const parts = plot.bars.flatMap(bar => {
      let from = 0;
      return bar.parts.map(part => ({ ...part, bar: bar.name, colour: `var(--${bar.colour})`, from, to: (from += part.value) }));
    });
    const widest = Math.max(d3.max(parts, p => p.to), d3.max(plot.bars, b => b.total ?? 0));
    const fits = p => (p.value / widest) * (width - 20) > 14 + 6.4 * p.name.length;
    return Plot.plot({
      ...base(plot, width), height: 44 + 62 * plot.bars.length, marginLeft: 4, marginTop: 4,
      x: { domain: [0, widest], axis: null },
      y: { domain: plot.bars.map(b => b.name), axis: null, paddingInner: 0.5, paddingOuter: 0.45 },
      marks: [
        ...axes(d3.ticks(0, widest, Math.max(3, Math.floor(width / 110))), v => (v === 0 ? "0" : format(v, plot.unit)), [], null),
        Plot.barX(parts, { x1: "from", x2: "to", y: "bar", fill: "colour", fillOpacity: "opacity", stroke: "var(--ground)", strokeWidth: 1, title: p => `${p.name}: ${format(p.value, plot.unit)}` }),
        Plot.text(parts.filter(fits), { x: p => (p.from + p.to) / 2, y: "bar", text: "name", fill: p => (p.opacity > 0.6 ? "var(--ground)" : "var(--text)") }),
        Plot.text(plot.bars, { x: 0, y: "name", text: b => `${b.name}${b.total === null ? "" : `, ${format(b.total, plot.unit)} in all`}`, textAnchor: "start", dy: -24, dx: 1, fill: "var(--text)", fontWeight: 600 }),
        Plot.tickX(plot.bars.filter(b => b.total !== null), { x: "total", y: "name", stroke: "var(--text)", strokeWidth: 2 }),
      ],
    });
  };

  const KINDS = { distribution, growth, phases };
  const draw = (figure, plot, width) => {
    const drawn = KINDS[plot.kind](plot, width);
    drawn.setAttribute("role", "img");
    figure.querySelector(".canvas").replaceChildren(drawn);
  };

  const plots = JSON.parse(document.getElementById("plots").textContent);
  const widths = new WeakMap();
  const resized = new ResizeObserver(entries => {
    for (const { target } of entries) {
      const width = Math.floor(target.clientWidth);
      if (width < 50 || widths.get(target) === width) continue;
      widths.set(target, width);
      draw(target, plots[target.dataset.plot], width);
    }
  });
  for (const figure of document.querySelectorAll("figure[data-plot]")) {
    figure.classList.add("drawn");
    resized.observe(figure);
  }
  for (const hidden of document.querySelectorAll(".scripted, #theme")) hidden.hidden = false;

  // ---- light and dark ----
  const THEMES = ["auto", "light", "dark"], button = document.getElementById("theme"), root = document.documentElement;
  const apply = theme => {
    theme === "auto" ? delete root.dataset.theme : (root.dataset.theme = theme);
    button.textContent = `Theme: ${theme}`;
  };
  let theme = "auto";
  button.addEventListener("click", () => apply((theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])));
})();
