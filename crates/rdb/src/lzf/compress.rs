//! The compressor: greedy, one hash table of the last place of each three bytes.

/// Compresses `input` if that saves at least 4 bytes, as servers demand; `None` if it does not.
///
/// ```
/// use rdb::lzf;
/// let text = b"abcdefghij".repeat(4);
/// let packed = lzf::compress(&text).unwrap();
/// assert_eq!(lzf::decompress(&packed, text.len())?, text);
/// assert!(lzf::compress(b"no repetition here").is_none());
/// # Ok::<_, lzf::LzfError>(())
/// ```
pub fn compress(input: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    Compressor::for_len(input.len()).compress(input, &mut out).then_some(out)
}

/// A compressor that is used many times: the table is neither allocated nor cleared again.
#[derive(Debug, Clone)]
pub struct Compressor {
    /// Hash of three bytes to their last place, counted on from input to input: older places are below `base`.
    table: Vec<u32>,
    shift: u32,
    base: u32,
}

const TABLE_BITS_MAX: u32 = 14;
const DISTANCE_MAX: usize = 8192;
const LITERAL_MAX: usize = 32;
const MATCH_MAX: usize = 264;
/// What compression has to save.
const SAVING_MIN: usize = 4;

impl Default for Compressor {
    fn default() -> Self {
        Self::with_bits(TABLE_BITS_MAX)
    }
}

impl Compressor {
    /// A compressor with a table of 64 KiB.
    pub fn new() -> Self {
        Self::default()
    }

    /// A compressor whose table is no larger than one short input needs.
    fn for_len(len: usize) -> Self {
        Self::with_bits(len.max(2).ilog2().clamp(6, TABLE_BITS_MAX))
    }

    fn with_bits(bits: u32) -> Self {
        Self { table: vec![0; 1 << bits], shift: 32 - bits, base: 1 }
    }

    /// Appends the compressed form of `input` to `out` if that saves at least 4 bytes. Otherwise answers false and
    /// leaves `out` as it was.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(limit) = input.len().checked_sub(SAVING_MIN).filter(|limit| *limit > 0) else {
            return false;
        };
        let Ok(len) = u32::try_from(input.len()) else { return false };
        if self.base.checked_add(len).is_none() {
            self.table.fill(0);
            self.base = 1;
        }
        let start = out.len();
        let done = self.encode(input, start + limit, out);
        self.base += len;
        if !done {
            out.truncate(start);
        }
        done
    }

    /// False once `out` would exceed `limit`.
    fn encode(&mut self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
        let (mut at, mut literal) = (0, 0);
        while let Some([a, b, c, ..]) = input.get(at..) {
            let key = u32::from_le_bytes([*a, *b, *c, 0]).wrapping_mul(0x9E37_79B1) >> self.shift;
            let Some(slot) = self.table.get_mut(key as usize) else { break };
            let place = std::mem::replace(slot, self.base + at as u32);
            let found = place.checked_sub(self.base).map(|from| from as usize).filter(|from| {
                at - from <= DISTANCE_MAX && input.get(*from..from + 3) == Some(&[*a, *b, *c])
            });
            let Some(from) = found else {
                at += 1;
                // Hopeless input is given up early, not at its end.
                if at - literal > limit.saturating_sub(out.len()) {
                    return false;
                }
                continue;
            };
            literals(input.get(literal..at).unwrap_or_default(), out);
            let len = 3 + common(input.get(from + 3..), input.get(at + 3..)).min(MATCH_MAX - 3);
            let [high, low] = ((at - from - 1) as u16).to_be_bytes();
            if len < 9 {
                out.extend_from_slice(&[((len - 2) << 5) as u8 | high, low]);
            } else {
                out.extend_from_slice(&[0xE0 | high, (len - 9) as u8, low]);
            }
            if out.len() > limit {
                return false;
            }
            // The last places inside the match serve the next; the rest is skipped for speed.
            for inside in [at + len - 2, at + len - 1] {
                if let Some([a, b, c, ..]) = input.get(inside..) {
                    let key = u32::from_le_bytes([*a, *b, *c, 0]).wrapping_mul(0x9E37_79B1) >> self.shift;
                    if let Some(slot) = self.table.get_mut(key as usize) {
                        *slot = self.base + inside as u32;
                    }
                }
            }
            at += len;
            literal = at;
        }
        literals(input.get(literal..).unwrap_or_default(), out);
        out.len() <= limit
    }
}

fn literals(bytes: &[u8], out: &mut Vec<u8>) {
    for run in bytes.chunks(LITERAL_MAX) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
}

/// How many bytes two tails have in common, up to the longest match.
fn common(a: Option<&[u8]>, b: Option<&[u8]>) -> usize {
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    a.iter().zip(b).take(MATCH_MAX - 3).take_while(|(x, y)| x == y).count()
}
