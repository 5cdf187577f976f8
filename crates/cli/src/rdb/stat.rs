//! `replica rdb stat` as a table.

use rdb::stat::Stat;

/// The counts, for people.
pub fn table(stat: &Stat) -> String {
    format!("{stat}")
}
