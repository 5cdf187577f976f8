//! `replica rdb stat` as a table.

use std::fmt::Write as _;

use ::rdb::stat::Stat;

/// The counts, for people.
pub fn table(stat: &Stat) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(stat, &mut out);
    out
}

fn write(stat: &Stat, out: &mut String) -> std::fmt::Result {
    if let Some(version) = stat.version() {
        writeln!(out, "format      {version}")?;
    }
    writeln!(out, "keys        {}", stat.keys())?;
    for (db, keys) in stat.databases() {
        writeln!(out, "  db {db:<5}  {keys}")?;
    }
    writeln!(out, "expiring    {} keys, {} hash fields", stat.expiring(), stat.expiring_fields())?;
    writeln!(out, "functions   {}", stat.functions())?;
    writeln!(out, "\n{:<34}{:>12}{:>14}{:>16}", "type", "keys", "elements", "value bytes")?;
    for (name, figures) in stat.kinds() {
        writeln!(out, "{name:<34}{:>12}{:>14}{:>16}", figures.keys, figures.elements, figures.value_bytes)?;
    }
    writeln!(out, "\n{:<34}{:>12}{:>14}{:>16}", "encoding", "keys", "elements", "value bytes")?;
    for (byte, name, figures) in stat.encodings() {
        let name = format!("{name} ({byte})");
        writeln!(out, "{name:<34}{:>12}{:>14}{:>16}", figures.keys, figures.elements, figures.value_bytes)?;
    }
    writeln!(out, "\n{:<34}{:>12}", "value bytes, at most", "keys")?;
    for (size, keys) in stat.sizes() {
        writeln!(out, "{size:<34}{keys:>12}")?;
    }
    Ok(())
}
