//! What an interpreter's functions know besides the script: settings, switches, what a pool shares.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cjson;
use crate::error::Stop;
use crate::functions::Registered;
use crate::limit::KillSwitch;
use crate::options::Options;

/// One for each interpreter.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) options: Options,
    pub(crate) switch: KillSwitch,
    pub(crate) cjson: Arc<cjson::Shared>,
    /// While a library is loaded: what it has registered so far.
    pub(crate) registered: RefCell<Option<Vec<Registered>>>,
    /// An error that is to be passed on as it is.
    pub(crate) whole: RefCell<Option<Vec<u8>>>,
    work: AtomicU32,
}

impl Host {
    pub(crate) fn new(options: Options, switch: KillSwitch, cjson: Arc<cjson::Shared>) -> Self {
        let (registered, whole) = (RefCell::default(), RefCell::default());
        Self { options, switch, cjson, registered, whole, work: AtomicU32::new(0) }
    }

    /// Whether the running script has to end. Asked now and then while it runs, in Lua or in a function of ours, so that
    /// this is the pulse that the caller is promised, too.
    pub(crate) fn verdict(&self) -> Option<Stop> {
        if let Some(pulse) = &self.options.pulse {
            pulse();
        }
        self.switch.verdict(self.options.clock())
    }

    /// As [`Host::verdict`], for those who ask after every little piece of work: it looks only now and then.
    pub(crate) fn verdict_after_work(&self) -> Option<Stop> {
        let work = self.work.load(Ordering::Relaxed).wrapping_add(1);
        self.work.store(work, Ordering::Relaxed);
        if work.is_multiple_of(64) { self.verdict() } else { None }
    }
}
