"use strict";
// Asks for /status.json every second and writes what it says. Texts are never taken for markup.

const id = (name) => document.getElementById(name);
const put = (name, text) => { id(name).textContent = text; };
const sum = (figures) => typeof figures === "number" ? figures : Object.values(figures || {}).reduce((a, b) => a + b, 0);

function bytes(n) {
  if (n === undefined || n === null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit += 1; }
  return (unit === 0 ? Math.round(n) : n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0)) + " " + units[unit];
}

const count = (n) => n === undefined ? "–" : Math.round(n).toLocaleString("en");

function duration(seconds) {
  if (seconds === undefined) return "–";
  if (seconds < 0.001) return Math.round(seconds * 1e6) + " µs";
  if (seconds < 1) return (seconds * 1000).toFixed(1) + " ms";
  if (seconds < 120) return seconds.toFixed(1) + " s";
  return Math.round(seconds / 60) + " min";
}

function table(name, head, rows) {
  const cells = (kind, row) => {
    const line = document.createElement("tr");
    row.forEach((value, at) => {
      const cell = document.createElement(kind);
      cell.textContent = value;
      cell.className = head[at][1] || "";
      line.append(cell);
    });
    return line;
  };
  const lines = rows.map((row) => cells("td", row));
  if (rows.length === 0) {
    lines.push(cells("td", ["none"]));
    lines[0].firstChild.className = "none";
    lines[0].firstChild.colSpan = head.length;
  }
  id(name).replaceChildren(cells("th", head.map((column) => column[0])), ...lines);
}

// The first ranges of slots, and how many more.
function ranges(slots) {
  const text = slots.slice(0, 4).map(([first, last]) => first === last ? String(first) : first + "-" + last).join(" ");
  return slots.length === 0 ? "none" : slots.length > 4 ? text + " and " + (slots.length - 4) + " more" : text;
}

// Rates: the last values of counters, and a minute of what they grew by.
const counters = {};
function rate(name, value, now) {
  const before = counters[name];
  const history = before ? before.history : [];
  let per = 0;
  if (before && now > before.now && value >= before.value) {
    per = (value - before.value) / (now - before.now) * 1000;
    history.push(per);
    if (history.length > 60) history.shift();
  }
  counters[name] = { value, now, history };
  return per;
}

function line(name, history) {
  const canvas = id(name);
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (history.length < 2) return;
  const most = Math.max(...history, 1e-9);
  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--bar");
  pen.lineWidth = 1.5;
  pen.beginPath();
  history.forEach((value, at) => {
    const x = at / 59 * canvas.width;
    const y = canvas.height - 2 - value / most * (canvas.height - 4);
    if (at === 0) pen.moveTo(x, y); else pen.lineTo(x, y);
  });
  pen.stroke();
}

function show(status) {
  const m = status.metrics;
  const now = performance.now();
  const shards = status.shards;
  const whom = shards.length > 0 ? "a cluster, " + shards.length + " shards followed" : status.primary;
  put("what", (whom ? "of " + whom : "primary") + " as " + status.compat);
  put("version", "version " + status.version);
  const badge = id("ready");
  badge.textContent = status.ready ? "ready" : "not ready";
  badge.className = "badge " + (status.ready ? "good" : "bad");
  put("link", status.reason ? status.reason : "link: " + status.link);
  id("sync").hidden = !status.sync;
  if (status.sync) {
    const { received, total } = status.sync;
    const progress = id("progress");
    if (total) progress.value = received / total; else progress.removeAttribute("value");
    put("synced", bytes(received) + (total ? " of " + bytes(total) : ""));
  }
  put("lag", duration(m.replica_lag_seconds));
  put("lag-bytes", m.replica_lag_bytes === undefined ? "" : bytes(m.replica_lag_bytes) + " not applied yet");
  for (const [name, value, unit] of [
    ["received", sum(m.replica_received_bytes_total), (n) => bytes(n) + "/s"],
    ["applied", sum(m.replica_stream_commands_total), (n) => count(n) + "/s"],
    ["served", sum(m.replica_commands_total), (n) => count(n) + "/s"],
  ]) {
    put(name, unit(rate(name, value, now)));
    line(name + "-line", counters[name].history);
  }
  put("keys", count(sum(m.replica_keys)));
  const databases = Object.entries(m.replica_keys || {}).filter(([, keys]) => keys > 0);
  put("databases", databases.map(([db, keys]) => "db" + db + " " + count(keys)).join("  "));
  put("memory", bytes(sum(m.replica_memory_bytes)));
  put("resident", m.replica_resident_bytes ? bytes(m.replica_resident_bytes) + " resident" : "");
  put("clients", count(m.replica_clients && m.replica_clients.connected));
  put("replicas", count(m.replica_replicas) + " replicas");
  const syncs = m.replica_syncs_total;
  put("syncs", syncs ? count(syncs.full) + " full, " + count(syncs.partial) + " partial" : "–");
  const failures = Object.entries(m.replica_link_failures_total || {}).filter(([, n]) => n > 0);
  put("failures", failures.map(([why, n]) => why + " " + n).join("  "));
  id("of-cluster").hidden = shards.length === 0;
  table("shards", [["slots"], ["primary"], ["link"], ["behind", "number"], ["heard of", "number"], ["aside", "number"], ["position", "name"]],
    shards.map((s) => [ranges(s.slots), s.primary, s.link, bytes(s.behind), s.lag === null ? "–" : duration(s.lag) + " ago",
      count(s.aside), s.position || "–"]));
  const census = status.census || { types: [], biggest: [] };
  table("types", [["type"], ["keys", "number"], ["bytes", "number"]],
    census.types.sort((a, b) => b.bytes - a.bytes).map((t) => [t.type, count(t.keys), bytes(t.bytes)]));
  table("biggest", [["bytes", "number"], ["type"], ["db"], ["key", "name"]],
    census.biggest.map((k) => [bytes(k.bytes), k.type, k.db, k.key]));
  const calls = Object.entries(m.replica_commands_total || {}).sort((a, b) => b[1] - a[1]).slice(0, 10);
  const times = m.replica_command_duration_seconds || {};
  table("commands", [["command"], ["calls", "number"], ["p50", "number"], ["p99", "number"]],
    calls.map(([name, n]) => [name, count(n), duration(times[name + " 0.5"]), duration(times[name + " 0.99"])]));
  table("slow", [["at"], ["took", "number"], ["command", "name"]],
    status.slow.map((s) => [new Date(s.at * 1000).toLocaleTimeString(), duration(s.micros / 1e6), s.command]));
  document.body.dataset.shown = String(Number(document.body.dataset.shown || 0) + 1);
}

async function poll() {
  try {
    const response = await fetch("status.json", { cache: "no-store" });
    if (!response.ok) throw new Error("HTTP " + response.status);
    show(await response.json());
  } catch (error) {
    id("ready").textContent = "no answer";
    id("ready").className = "badge bad";
    put("link", String(error));
  }
  setTimeout(poll, 1000);
}

poll();
