//! Which percentiles of commands' times INFO tells (`latency-tracking-info-percentiles`).

use parking_lot::RwLock;

/// Numbers from 0 to 100, in the order in which they are told.
#[derive(Debug)]
pub(crate) struct Percentiles(RwLock<Vec<f64>>);

impl Default for Percentiles {
    fn default() -> Self {
        Self(RwLock::new(vec![50.0, 99.0, 99.9]))
    }
}

impl Percentiles {
    /// The numbers of a text, with a blank between each two; or what is wrong with them, in the servers' words.
    pub(crate) fn parse(text: &str) -> Result<Vec<f64>, String> {
        let number = |word: &str| match store::number::parse_f64(word.as_bytes()) {
            Some(number) if (0.0..=100.0).contains(&number) => Ok(number),
            Some(_) => {
                Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".to_owned())
            }
            None => Err("Invalid latency-tracking-info-percentiles parameters".to_owned()),
        };
        if text.is_empty() { Ok(Vec::new()) } else { text.split(' ').map(number).collect() }
    }

    pub(crate) fn get(&self) -> Vec<f64> {
        self.0.read().clone()
    }

    pub(crate) fn set(&self, percentiles: Vec<f64>) {
        *self.0.write() = percentiles;
    }

    /// As CONFIG GET spells them.
    pub(crate) fn text(&self) -> String {
        self.0.read().iter().map(|percent| spelled(*percent)).collect::<Vec<_>>().join(" ")
    }
}

/// At most six digits behind the point, and none that says nothing.
pub(crate) fn spelled(percent: f64) -> String {
    let text = format!("{percent:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
