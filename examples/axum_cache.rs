//! A web handler whose reads are function calls: no pool, no cache to invalidate, no network trip.
//!
//! `cargo run --example axum_cache [-- --master redis://host:port]`; `--serve` keeps it running at port 3000.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use replica::{Replica, Standalone, cmd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A user by number: two reads of one hash, in process.
async fn user(State(replica): State<Replica>, Path(id): Path<u64>) -> (StatusCode, String) {
    match replica.db(0).hash(format!("user:{id}")) {
        Ok(Some(user)) => {
            let field = |name| String::from_utf8_lossy(&user.get(name).unwrap_or_default()).into_owned();
            (StatusCode::OK, format!("{} lives in {}\n", field("name"), field("city")))
        }
        Ok(None) => (StatusCode::NOT_FOUND, "no such user\n".to_owned()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// Whether a load balancer should send anybody here.
async fn ready(State(replica): State<Replica>) -> StatusCode {
    if replica.is_connected() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn fetch(address: std::net::SocketAddr, path: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let serves = args.iter().any(|arg| arg == "--serve");
    args.retain(|arg| arg != "--serve" && arg != "--master");
    let own = Standalone::start("127.0.0.1:0").await?;
    let named = args.pop().map(|arg| arg.strip_prefix("--master=").map(str::to_owned).unwrap_or(arg));
    let master = named.unwrap_or_else(|| own.url());
    let replica = Replica::connect(&master).await?;

    let app =
        Router::new().route("/user/{id}", get(user)).route("/ready", get(ready)).with_state(replica.clone());
    let listener = TcpListener::bind(if serves { "127.0.0.1:3000" } else { "127.0.0.1:0" }).await?;
    let address = listener.local_addr()?;
    println!("http://{address}/user/1");
    if serves {
        axum::serve(listener, app).await?;
        return Ok(());
    }
    tokio::spawn(async move { axum::serve(listener, app).await });

    // The primary changes, the handler's answer with it: nothing here has to be told.
    for city in ["London", "Marylebone"] {
        let (_, at) = replica.write(cmd!("HSET", "user:1", "name", "Ada", "city", city)).await?;
        replica.wait_for(at).await?;
        let answer = fetch(address, "/user/1").await?;
        print!("{}", answer.lines().next_back().map(|line| format!("{line}\n")).unwrap_or_default());
        assert!(answer.contains(city));
    }
    assert!(fetch(address, "/user/2").await?.starts_with("HTTP/1.1 404"));
    assert!(fetch(address, "/ready").await?.starts_with("HTTP/1.1 200"));
    replica.shutdown().await?;
    Ok(())
}
