//! Options for a copy of a part.

use replica::Filter;

use crate::Failure;

/// Which keys to keep. Each option may be given several times.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Keys {
    /// Keep only this database.
    #[arg(long, value_name = "N")]
    filter_db: Vec<u32>,
    /// Keep only keys that begin so.
    #[arg(long, value_name = "TEXT")]
    filter_prefix: Vec<String>,
    /// Keep only keys that match this pattern, as of KEYS.
    #[arg(long, value_name = "PATTERN")]
    filter_pattern: Vec<String>,
    /// Keep only values of this type: string, list, set, zset, hash or stream.
    #[arg(long, value_name = "TYPE")]
    filter_type: Vec<String>,
    /// Keep only keys of these cluster slots: 5, or 0-5460.
    #[arg(long, value_name = "SLOTS")]
    filter_slot: Vec<String>,
    /// Of a cluster, follow only the shard of this node: its id, or host:port.
    #[arg(long, value_name = "NODE")]
    filter_shard: Vec<String>,
}

/// What to keep of the data set, and of the stream that changes it.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    keys: Keys,
    /// Apply only this command of the stream.
    #[arg(long, value_name = "NAME")]
    filter_command: Vec<String>,
    /// Apply every command of the stream but this.
    #[arg(long, value_name = "NAME")]
    filter_block_command: Vec<String>,
}

impl Keys {
    /// The filter that they make.
    pub fn build(&self) -> Result<Filter, Failure> {
        let words = |name: &str, values: &[String]| {
            values.iter().map(|value| format!("{name}={value} ")).collect::<String>()
        };
        let text = words("type", &self.filter_type) + &words("slot", &self.filter_slot);
        Ok(text
            .parse::<Filter>()?
            .databases(self.filter_db.iter().copied())
            .prefixes(self.filter_prefix.iter().map(String::as_str))
            .patterns(self.filter_pattern.iter().map(String::as_str))
            .shards(self.filter_shard.iter().map(String::as_str)))
    }
}

impl Args {
    /// The filter that they make.
    pub fn build(&self) -> Result<Filter, Failure> {
        Ok(self.keys.build()?.commands(&self.filter_command).block_commands(&self.filter_block_command))
    }
}
