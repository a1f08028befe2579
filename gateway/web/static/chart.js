// The history chart of one point: uPlot over /history/<point>, gaps left open, times in alarm as bands.
(() => {
  "use strict";
  const figure = document.getElementById("chart"), plot = document.getElementById("plot");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const refresh = { hour: 5000, day: 30000, week: 60000, month: 300000, year: 600000 };
  let span = "hour", chart = null, bands = [], timer = 0;

  const drawBands = (u) => {
    const { left, top, width, height } = u.bbox;
    u.ctx.save();
    u.ctx.fillStyle = colour("--band");
    for (const [from, to] of bands) {
      const a = Math.max(left, u.valToPos(from, "x", true)), b = Math.min(left + width, u.valToPos(to, "x", true));
      if (b >= left && a <= left + width) u.ctx.fillRect(a, top, Math.max(3, b - a), height);
    }
    u.ctx.restore();
  };
  // Times as the station's clock shows them, whatever the browser's zone: years and days on long spans, else hours.
  const zone = figure.dataset.zone;
  const form = (options) => new Intl.DateTimeFormat(document.documentElement.lang, { timeZone: zone, ...options });
  const short = form({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const middle = form({ month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const long = form({ month: "2-digit", day: "2-digit" });
  const written = () => (span === "hour" || span === "day" ? short : span === "week" ? middle : long);
  const build = (found) => {
    const line = colour("--line"), text = colour("--soft"), grid = colour("--grid");
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    const options = {
      width: plot.clientWidth, height: Math.max(220, Math.min(420, innerHeight * 0.45)),
      tzDate: (t) => uPlot.tzDate(new Date(t * 1000), zone),
      scales: { x: { time: true, range: () => [found.from, found.to] } },
      legend: { show: false }, cursor: { drag: { x: false, y: false } },
      axes: [{ ...axis, space: span === "week" ? 110 : 64, values: (_, times) => times.map((t) => written().format(t * 1000)) }, { ...axis, size: 56 }],
      series: [{}, { stroke: line, width: 2, points: { show: false } },
        { stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } }],
      bands: [{ series: [3, 2], fill: colour("--area") }],
      hooks: { drawClear: [drawBands] },
    };
    return new uPlot(options, [found.t, found.mean, found.low, found.high], plot);
  };
  const load = async () => {
    clearTimeout(timer);
    timer = setTimeout(load, refresh[span]);
    const asked = span;
    let found;
    try {
      found = await (await fetch("/history/" + encodeURIComponent(figure.dataset.name) + "?span=" + asked)).json();
    } catch { return; }
    if (asked !== span) return;
    bands = found.bands;
    if (chart) chart.destroy();
    chart = build(found);
    figure.classList.toggle("nothing", !found.t.length);
    figure.dataset.rows = found.t.length;
  };
  for (const button of document.querySelectorAll("[data-span]")) {
    button.addEventListener("click", () => {
      span = button.dataset.span;
      document.querySelectorAll("[data-span]").forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
      load();
    });
  }
  addEventListener("resize", () => { if (chart) chart.setSize({ width: plot.clientWidth, height: chart.height }); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", load);
  load();
})();
