//! HyperLogLog: a string with a layout of its own (`HYLL`), equal byte for byte to the servers'.
//!
//! ```text
//!  0      4          5     8                        16
//! | HYLL | encoding | 0 0 0 | cached count, 8 bytes LE | registers
//!          0 dense, 1 sparse   top bit: not valid
//!
//! dense:  16384 registers of 6 bits, lowest bits first
//! sparse: 00nnnnnn            n + 1 zeros
//!         01nnnnnn nnnnnnnn   n + 1 zeros
//!         1vvvvvnn            n + 1 registers of v + 1
//! ```
//!
//! Whoever gets the same elements in the same order must end with the same bytes, since primaries send
//! the elements, not the result. So the sparse form's splitting and merging follows theirs.

/// Registers.
const REGISTERS: usize = 1 << 14;
/// Bits of the hash that are not the register's number.
const Q: usize = 50;
const HEADER: usize = 16;
const DENSE: usize = HEADER + REGISTERS * 6 / 8;
/// The highest value that the sparse form can say, and its longest run.
const SPARSE_VALUE: u8 = 32;
const SPARSE_RUN: usize = 4;

/// How a HyperLogLog is changed.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Bytes beyond which it becomes dense (`hll-sparse-max-bytes`).
    pub sparse_limit: usize,
    /// Registers behind the last one, which APPEND can put there, are passed over, as in the streams of Redis 6.
    pub passes_over_excess: bool,
}

impl Rules {
    /// Those of today's servers.
    #[must_use]
    pub fn strict(sparse_limit: usize) -> Self {
        Self { sparse_limit, passes_over_excess: false }
    }
}

/// The bytes claim to be a HyperLogLog and are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// An empty one, in the sparse form.
#[must_use]
pub fn empty() -> Vec<u8> {
    let mut bytes = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// Whether these bytes have the header of a HyperLogLog, and the length that it asks for.
#[must_use]
pub fn is_valid(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER
        && bytes.starts_with(b"HYLL")
        && match bytes[4] {
            0 => bytes.len() == DENSE,
            1 => true,
            _ => false,
        }
}

/// The cached count, if it is valid.
#[must_use]
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let count = u64::from_le_bytes(bytes.get(8..HEADER)?.try_into().ok()?);
    (count >> 63 == 0).then_some(count)
}

/// Stores a count, or (`None`) marks the stored one as not valid.
pub fn set_cached(bytes: &mut [u8], count: Option<u64>) {
    match count {
        Some(count) => bytes[8..HEADER].copy_from_slice(&count.to_le_bytes()),
        None => bytes[HEADER - 1] |= 0x80,
    }
}

/// Adds an element; whether a register changed.
///
/// # Errors
/// [`Corrupt`]
pub fn add(bytes: &mut Vec<u8>, element: &[u8], rules: Rules) -> Result<bool, Corrupt> {
    let hash = murmur64a(element, 0xadc8_3b19);
    let register = hash as usize & (REGISTERS - 1);
    let value = ((hash >> 14) | 1 << Q).trailing_zeros() as u8 + 1;
    set(bytes, register, value, rules)
}

/// Raises a register to at least `value`; whether that changed it.
fn set(bytes: &mut Vec<u8>, register: usize, value: u8, rules: Rules) -> Result<bool, Corrupt> {
    if bytes[4] == 0 {
        return Ok(set_dense(bytes, register, value));
    }
    match set_sparse(bytes, register, value, rules.sparse_limit)? {
        Sparse::Same => Ok(false),
        Sparse::Changed => Ok(true),
        Sparse::TooLarge => {
            to_dense(bytes, rules.passes_over_excess)?;
            Ok(set_dense(bytes, register, value))
        }
    }
}

fn dense(bytes: &[u8], register: usize) -> u8 {
    let (byte, shift) = (HEADER + register * 6 / 8, register * 6 % 8);
    let high = bytes.get(byte + 1).copied().unwrap_or(0);
    ((u16::from(bytes[byte]) | u16::from(high) << 8) >> shift) as u8 & 63
}

fn put_dense(bytes: &mut [u8], register: usize, value: u8) {
    let (byte, shift) = (HEADER + register * 6 / 8, register * 6 % 8);
    let (mask, bits) = (63_u16 << shift, u16::from(value) << shift);
    bytes[byte] = bytes[byte] & !(mask as u8) | bits as u8;
    if let Some(high) = bytes.get_mut(byte + 1) {
        *high = *high & !((mask >> 8) as u8) | (bits >> 8) as u8;
    }
}

fn set_dense(bytes: &mut [u8], register: usize, value: u8) -> bool {
    let higher = value > dense(bytes, register);
    if higher {
        put_dense(bytes, register, value);
    }
    higher
}

/// Turns the sparse form into the dense one.
///
/// # Errors
/// [`Corrupt`]
pub fn to_dense(bytes: &mut Vec<u8>, passes_over_excess: bool) -> Result<(), Corrupt> {
    if bytes[4] == 0 {
        return Ok(());
    }
    let registers = registers(bytes, passes_over_excess)?;
    let mut made = bytes[..HEADER].to_vec();
    made[4] = 0;
    made.resize(DENSE, 0);
    for (register, value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
        put_dense(&mut made, register, *value);
    }
    *bytes = made;
    Ok(())
}

/// One item of the sparse form.
#[derive(Clone, Copy)]
struct Run {
    /// 0: zeros.
    value: u8,
    length: usize,
    bytes: usize,
}

fn run_at(bytes: &[u8], at: usize) -> Option<Run> {
    let byte = *bytes.get(at)?;
    Some(match byte >> 6 {
        0 => Run { value: 0, length: usize::from(byte & 63) + 1, bytes: 1 },
        1 => {
            let low = *bytes.get(at + 1)?;
            Run { value: 0, length: (usize::from(byte & 63) << 8 | usize::from(low)) + 1, bytes: 2 }
        }
        _ => Run { value: (byte >> 2 & 31) + 1, length: usize::from(byte & 3) + 1, bytes: 1 },
    })
}

fn push_zeros(out: &mut Vec<u8>, length: usize) {
    let n = length - 1;
    if length > 64 {
        out.extend_from_slice(&[0x40 | (n >> 8) as u8, n as u8]);
    } else {
        out.push(n as u8);
    }
}

fn value_run(value: u8, length: usize) -> u8 {
    0x80 | (value - 1) << 2 | (length as u8 - 1)
}

enum Sparse {
    Same,
    Changed,
    TooLarge,
}

fn set_sparse(bytes: &mut Vec<u8>, register: usize, value: u8, limit: usize) -> Result<Sparse, Corrupt> {
    if value > SPARSE_VALUE {
        return Ok(Sparse::TooLarge);
    }
    // The run that holds the register, and the one before it.
    let (mut at, mut before, mut first) = (HEADER, None, 0);
    let run = loop {
        let run = run_at(bytes, at).ok_or(Corrupt)?;
        if register < first + run.length {
            break run;
        }
        before = Some(at);
        at += run.bytes;
        first += run.length;
    };
    if run.value >= value {
        return Ok(Sparse::Same);
    }
    if run.length == 1 {
        bytes[at] = value_run(value, 1);
    } else {
        // Up to three runs in place of one: what is left of it, the register, what is right of it.
        let (left, right) = (register - first, first + run.length - 1 - register);
        let mut new = Vec::with_capacity(5);
        let rest = |new: &mut Vec<u8>, length: usize| match (length, run.value) {
            (0, _) => {}
            (_, 0) => push_zeros(new, length),
            (_, old) => new.push(value_run(old, length)),
        };
        rest(&mut new, left);
        new.push(value_run(value, 1));
        rest(&mut new, right);
        if new.len() > run.bytes && bytes.len() + new.len() - run.bytes > limit {
            return Ok(Sparse::TooLarge);
        }
        bytes.splice(at..at + run.bytes, new);
    }
    merge_neighbours(bytes, before.unwrap_or(HEADER));
    set_cached(bytes, None);
    Ok(Sparse::Changed)
}

/// Joins equal runs that lie side by side, looking at five places from `at` on.
fn merge_neighbours(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..5 {
        let Some(run) = run_at(bytes, at) else { return };
        if run.value > 0
            && let Some(next) = run_at(bytes, at + 1)
            && next.value == run.value
            && run.length + next.length <= SPARSE_RUN
        {
            bytes[at + 1] = value_run(run.value, run.length + next.length);
            bytes.remove(at);
            continue;
        }
        at += run.bytes;
    }
}

/// All registers.
///
/// # Errors
/// [`Corrupt`]
pub fn registers(bytes: &[u8], passes_over_excess: bool) -> Result<Box<[u8]>, Corrupt> {
    let mut all = vec![0; REGISTERS].into_boxed_slice();
    if bytes[4] == 0 {
        (0..REGISTERS).for_each(|register| all[register] = dense(bytes, register));
        return Ok(all);
    }
    let (mut at, mut first) = (HEADER, 0);
    while at < bytes.len() {
        let run = run_at(bytes, at).ok_or(Corrupt)?;
        match all.get_mut(first..first + run.length) {
            Some(part) => part.fill(run.value),
            None if passes_over_excess && run.value > 0 => break,
            None => return Err(Corrupt),
        }
        at += run.bytes;
        first += run.length;
    }
    if first == REGISTERS { Ok(all) } else { Err(Corrupt) }
}

/// The runs of the sparse form, as `PFDEBUG DECODE` writes them, whatever they add up to.
#[must_use]
pub fn runs(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = HEADER;
    while at < bytes.len() {
        // Behind the last byte stands a zero, as the real servers read it.
        let run = run_at(bytes, at).or_else(|| run_at(&[bytes[at], 0], 0));
        let Some(run) = run else { return text };
        let space = if text.is_empty() { "" } else { " " };
        let item = match (run.value, run.bytes) {
            (0, 1) => format!("{space}z:{}", run.length),
            (0, _) => format!("{space}Z:{}", run.length),
            (value, _) => format!("{space}v:{value},{}", run.length),
        };
        text.push_str(&item);
        at += run.bytes;
    }
    text
}

/// Counts growing sets in both forms: they must agree register by register, and lie within the error that 16384
/// registers promise.
///
/// # Errors
/// What went wrong.
pub fn self_test() -> Result<(), &'static str> {
    let (mut sparse, mut dense) = (empty(), empty());
    to_dense(&mut dense, false).map_err(|_| "an empty sketch has no dense form")?;
    for n in 1..=100_000_u32 {
        let element = n.to_le_bytes();
        for sketch in [&mut sparse, &mut dense] {
            add(sketch, &element, Rules::strict(3000)).map_err(|_| "a sketch became corrupt")?;
        }
        if n.is_power_of_two() || n == 100_000 {
            let (a, b) = (registers(&sparse, false), registers(&dense, false));
            let (Ok(a), Ok(b)) = (a, b) else { return Err("a sketch became corrupt") };
            if a != b {
                return Err("the sparse and the dense form disagree");
            }
            // Six times the standard error of 1.04 / sqrt(16384).
            if (count(&a) as f64 - f64::from(n)).abs() > (f64::from(n) * 0.049).max(3.0) {
                return Err("a count is too far from the truth");
            }
        }
    }
    Ok(())
}

/// Raises every register to at least these.
///
/// # Errors
/// [`Corrupt`]
pub fn merge(bytes: &mut Vec<u8>, registers: &[u8], rules: Rules) -> Result<(), Corrupt> {
    for (register, value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
        set(bytes, register, *value, rules)?;
    }
    Ok(())
}

/// The estimate of how many distinct elements these registers have seen (Otmar Ertl's estimator, 2017).
#[must_use]
pub fn count(registers: &[u8]) -> u64 {
    let mut histogram = [0_u32; 64];
    for value in registers {
        histogram[usize::from(value & 63)] += 1;
    }
    let m = REGISTERS as f64;
    let mut z = m * tau((m - f64::from(histogram[Q + 1])) / m);
    for seen in histogram[1..=Q].iter().rev() {
        z = (z + f64::from(*seen)) * 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    // 1 / (2 ln 2)
    (0.721_347_520_444_481_7 * m * m / z).round() as u64
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        let before = z;
        x = x.sqrt();
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        let before = z;
        x *= x;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// Austin Appleby's MurmurHash2, 64 bits, little endian.
fn murmur64a(key: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = seed ^ (key.len() as u64).wrapping_mul(M);
    let mut words = key.chunks_exact(8);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0, |k, byte| k << 8 | u64::from(*byte)).wrapping_mul(M);
        k = (k ^ k >> 47).wrapping_mul(M);
        hash = (hash ^ k).wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        hash = (hash ^ tail.iter().rev().fold(0, |k, byte| k << 8 | u64::from(*byte))).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_lie_within_two_percent_in_both_forms() {
        for n in [1_u64, 10, 100, 1000, 10_000, 100_000] {
            let mut bytes = empty();
            (0..n).for_each(|i| {
                add(&mut bytes, &i.to_le_bytes(), Rules::strict(3000)).unwrap();
            });
            let estimate = count(&registers(&bytes, false).unwrap());
            assert!(estimate.abs_diff(n) * 50 <= n, "{n}: {estimate}");
        }
    }

    #[test]
    fn the_dense_form_has_the_registers_of_the_sparse_one() {
        let mut bytes = empty();
        (0..500_u32).for_each(|i| {
            add(&mut bytes, &i.to_le_bytes(), Rules::strict(3000)).unwrap();
        });
        assert_eq!(bytes[4], 1);
        let before = registers(&bytes, false).unwrap();
        to_dense(&mut bytes, false).unwrap();
        assert!(is_valid(&bytes) && bytes[4] == 0);
        assert_eq!(registers(&bytes, false).unwrap(), before);
    }

    #[test]
    fn corrupt_runs_are_refused() {
        let mut bytes = empty();
        bytes.truncate(17);
        assert_eq!(registers(&bytes, false), Err(Corrupt));
        assert_eq!(add(&mut bytes, b"x", Rules::strict(3000)), Err(Corrupt));
        let mut long = empty();
        long.push(0x3f);
        assert_eq!(registers(&long, false), Err(Corrupt));
    }

    #[test]
    fn registers_behind_the_last_one_are_refused_or_passed_over() {
        let mut bytes = empty();
        add(&mut bytes, b"a", Rules::strict(3000)).unwrap();
        let wanted = registers(&bytes, false).unwrap();
        for (excess, lenient) in [(&b"\x80"[..], Ok(wanted)), (b"\0", Err(Corrupt)), (b"zz", Err(Corrupt))] {
            let long = [&bytes, excess].concat();
            assert_eq!(registers(&long, false), Err(Corrupt));
            assert_eq!(registers(&long, true), lenient);
        }
    }
}
