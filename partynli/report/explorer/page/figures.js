// Figures of one item from its votes. NaN where undefined. Natural logarithms, as in all of partynli.

const total = (counts) => counts.reduce((sum, one) => sum + one, 0);

/** Shares of the labels; null without votes. */
function shares(counts) {
  const n = total(counts);
  return n ? Array.from(counts, (one) => one / n) : null;
}

function entropyOf(p) {
  return p.reduce((sum, one) => (one > 0 ? sum - one * Math.log(one) : sum), 0);
}

/** Shannon entropy H of the votes, in nats. */
function entropy(counts) {
  const p = shares(counts);
  return p ? entropyOf(p) : NaN;
}

/** Jensen-Shannon distance, the square root of the divergence: 0 to 0.833. */
function jsDistance(x, y) {
  const [p, q] = [shares(x), shares(y)];
  if (!p || !q) return NaN;
  const divergence = entropyOf(p.map((one, k) => (one + q[k]) / 2)) - (entropyOf(p) + entropyOf(q)) / 2;
  return Math.sqrt(divergence < 1e-15 ? 0 : divergence);
}

/** Chance that two of the votes, drawn without replacement, differ. */
function disagreement(counts) {
  const n = total(counts);
  return n < 2 ? NaN : 1 - total(counts.map((one) => one * (one - 1))) / (n * (n - 1));
}

const figure = (value, digits = 2) => (Number.isNaN(value) ? "–" : value.toFixed(digits));
const percent = (value) => `${Math.round(100 * value)}\u202f%`;
const whole = (value) => value.toLocaleString("en");
const plural = (n, word) => `${whole(n)} ${word}${n === 1 ? "" : "s"}`;
