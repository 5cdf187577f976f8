//! The HTTP port of `replica serve`: figures, health, and a page to look at.
//!
//! | path | what |
//! | --- | --- |
//! | `/metrics` | the text format of Prometheus |
//! | `/healthz` | 200 while the process runs |
//! | `/readyz` | 200 if the data are complete and no staler than `--ready-within`; 503 with the reason otherwise |
//! | `/` | a page that shows how it goes, without anything from elsewhere |
//! | `/status.json` | what the page shows |
//!
//! There is no login and no TLS: whoever reaches the port sees names of keys and slow commands.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use server::Engine;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::Failure;
use status::Status;

mod status;

/// Connections at a time: a few scrapers and people.
const CONNECTIONS: usize = 64;
/// A connection that does not say what it wants is closed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until the runtime ends; the address that was bound.
pub async fn serve(addr: &str, engine: Arc<Engine>, ready_within: Duration) -> Result<SocketAddr, Failure> {
    let addr = if addr.starts_with(':') { format!("0.0.0.0{addr}") } else { addr.to_owned() };
    let listener = TcpListener::bind(&addr).await.map_err(|error| format!("--http {addr}: {error}"))?;
    let bound = listener.local_addr()?;
    let status = Arc::new(Status::new(engine, ready_within));
    tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // No file descriptors, for example: they come back.
                    tracing::warn!(%error, "http");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let status = Arc::clone(&status);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&status), request));
                let served = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .max_buf_size(64 * 1024)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = served.await {
                    tracing::debug!(%error, "http");
                }
                drop(permit);
            });
        }
    });
    Ok(bound)
}

const TEXT: &str = "text/plain; charset=utf-8";

async fn answer(
    status: Arc<Status>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let ok = StatusCode::OK;
    Ok(match request.uri().path() {
        "/" => reply(ok, "text/html; charset=utf-8", include_str!("page.html")),
        "/page.css" => reply(ok, "text/css; charset=utf-8", include_str!("page.css")),
        "/page.js" => reply(ok, "text/javascript; charset=utf-8", include_str!("page.js")),
        "/healthz" => reply(ok, TEXT, "ok\n"),
        "/readyz" => match status.ready() {
            Ok(()) => reply(ok, TEXT, "ready\n"),
            Err(reason) => reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
        },
        // These wait for locks: not on a thread that others wait for.
        "/metrics" => match tokio::task::spawn_blocking(move || status.metrics()).await {
            Ok(text) => reply(ok, "text/plain; version=0.0.4; charset=utf-8", text),
            Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        "/status.json" => match tokio::task::spawn_blocking(move || status.json()).await {
            Ok(json) => reply(ok, "application/json", json.to_string()),
            Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        _ => reply(StatusCode::NOT_FOUND, TEXT, "/ /metrics /healthz /readyz /status.json\n"),
    })
}

fn reply(code: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = code;
    // Nothing but what comes from here, nowhere but here.
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                          img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
