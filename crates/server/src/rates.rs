//! How much happens in a second, as of the last moments: `instantaneous_ops_per_sec` and its like in INFO.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Looks over which is averaged, as with the real servers.
const LOOKS: usize = 16;
/// Counters.
const WATCHED: usize = 5;
/// From one look to the next.
const PERIOD: Duration = Duration::from_millis(100);

/// Counters that only grow, watched as they do.
#[derive(Debug)]
pub(crate) struct Rates(Mutex<Watched>);

#[derive(Debug)]
struct Watched {
    looked: Instant,
    counted: [u64; WATCHED],
    /// In a second, between two looks.
    rates: [[u64; WATCHED]; LOOKS],
    next: usize,
}

impl Default for Rates {
    fn default() -> Self {
        let (rates, counted) = ([[0; WATCHED]; LOOKS], [0; WATCHED]);
        Self(Mutex::new(Watched { looked: Instant::now(), counted, rates, next: 0 }))
    }
}

impl Rates {
    /// Looks at the counters, if it is time to.
    pub(crate) fn look(&self, now: Instant, counters: impl FnOnce() -> [u64; WATCHED]) {
        let mut watched = self.0.lock();
        let since = now.saturating_duration_since(watched.looked);
        if since < PERIOD {
            return;
        }
        let counted = counters();
        let in_a_second = |more: u64| u128::from(more) * 1_000_000 / since.as_micros().max(1);
        let before = watched.counted;
        let at = watched.next;
        if let Some(rates) = watched.rates.get_mut(at) {
            for ((rate, now), before) in rates.iter_mut().zip(counted).zip(before) {
                // CONFIG RESETSTAT begins anew.
                *rate = u64::try_from(in_a_second(now.saturating_sub(before))).unwrap_or(u64::MAX);
            }
        }
        (watched.looked, watched.counted, watched.next) = (now, counted, (at + 1) % LOOKS);
    }

    /// On the average of the last looks, in a second.
    pub(crate) fn each(&self) -> [u64; WATCHED] {
        let rates = self.0.lock().rates;
        let sum = |counter: usize| rates.iter().filter_map(|look| look.get(counter)).sum::<u64>();
        std::array::from_fn(|counter| sum(counter) / LOOKS as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_evenly_grows_by_so_much_in_a_second() {
        let rates = Rates::default();
        let begin = Instant::now();
        for n in 1..=20 {
            rates.look(begin + PERIOD * n, || [u64::from(n) * 10, u64::from(n) * 1000, 0, 0, 0]);
            // Too early to look again.
            rates.look(begin + PERIOD * n, || [u64::MAX; WATCHED]);
        }
        let [commands, bytes, nothing, ..] = rates.each();
        assert!((99..=101).contains(&commands) && (9990..=10_010).contains(&bytes), "{commands} {bytes}");
        assert_eq!(nothing, 0);
        rates.look(begin + PERIOD * 21, || [0; WATCHED]);
        assert!(rates.each()[0] < commands);
    }
}
