//! Who traces sees what belongs together: the link, a full sync inside it, a client.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use replica::{Replica, Standalone};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static SPANS: Mutex<Vec<Seen>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

#[derive(Debug, Default, Clone)]
struct Seen {
    id: u64,
    name: &'static str,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

struct Notes;

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut seen = Seen { id, name: span.metadata().name(), ..Seen::default() };
        span.record(&mut seen);
        SPANS.lock().unwrap().push(seen);
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut spans = SPANS.lock().unwrap();
        let known = spans.iter_mut().find(|seen| seen.id == span.into_u64()).expect("a span that was made");
        values.record(known);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_carry_what_happens() {
    tracing::subscriber::set_global_default(Notes).unwrap();
    let primary = Standalone::start("127.0.0.1:0").await.unwrap();
    primary.command(&["SET", "k", "v"]).unwrap();
    let replica = Replica::connect(&primary.url()).await.unwrap();
    let position = replica.position().unwrap();
    replica.shutdown().await.unwrap();

    let spans = SPANS.lock().unwrap().clone();
    let named = |name: &str| spans.iter().find(|seen| seen.name == name).expect(name);
    assert_eq!(named("link").fields["port"], primary.local_addr().port().to_string());
    let sync = &named("full_sync").fields;
    assert_eq!(sync["position"].split(':').next(), position.to_string().split(':').next(), "{sync:?}");
    assert!(sync["bytes"].parse::<u64>().unwrap() > 0 && sync["connections"] == "1", "{sync:?}");
    // The replica was the primary's client.
    assert!(named("client").fields["addr"].starts_with("127.0.0.1:"));
}
