//! A pipeline that listens like Vector's `http_server` source.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, Mutex},
    time::Duration,
};

use flate2::read::GzDecoder;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};

/// How a pipeline replies to one batch.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// A status, with a message like Vector's.
    Status(u16, &'static str),
    /// The batch is stored and the connection broken off.
    StoredAndBroken,
    /// The connection is broken off before anything is stored.
    Broken,
    /// The batch is stored, and the reply comes after so many milliseconds.
    Late(u64),
}

/// A pipeline that listens like Vector's `http_server` source.
pub struct Pipeline {
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// While it is dead, connections are closed as soon as they are opened.
    dead: bool,
    replies: Vec<Reply>,
    batches: Vec<Batch>,
}

/// One batch that came.
#[derive(Clone, Debug)]
pub struct Batch {
    pub headers: BTreeMap<String, String>,
    pub events: Vec<Value>,
    /// Whether the pipeline has it.
    pub stored: bool,
    /// Whether the source can know.
    pub acked: bool,
}

impl Pipeline {
    /// Replies with `replies` in their order, and then with 200 for ever.
    pub async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            dead: false,
            replies: replies.into_iter().rev().collect(),
            batches: Vec::new(),
        }));
        let pipeline = Self {
            url,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                if shared.lock().unwrap().dead {
                    continue;
                }
                tokio::spawn(async move {
                    let answer = service_fn(move |request| take(Arc::clone(&shared), request));
                    // A connection that is broken off on purpose ends with an error.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), answer)
                        .await;
                });
            }
        });
        pipeline
    }

    /// Dies, or comes back.
    pub fn set_dead(&self, dead: bool) {
        self.shared.lock().unwrap().dead = dead;
    }

    pub fn outlet(&self) -> Value {
        json!({"http": {"url": self.url}})
    }

    pub fn batches(&self) -> Vec<Batch> {
        self.shared.lock().unwrap().batches.clone()
    }

    /// Every stored event, in the order of arrival.
    pub fn stored(&self) -> Vec<Value> {
        let batches = self.batches().into_iter().filter(|batch| batch.stored);
        batches.flat_map(|batch| batch.events).collect()
    }

    /// Every acked event, in the order of arrival.
    pub fn acked(&self) -> Vec<Value> {
        let batches = self.batches().into_iter().filter(|batch| batch.acked);
        batches.flat_map(|batch| batch.events).collect()
    }
}

async fn take(
    shared: Arc<Mutex<Shared>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let headers: BTreeMap<String, String> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let mut text = String::new();
    if headers
        .get("content-encoding")
        .is_some_and(|encoding| encoding == "gzip")
    {
        GzDecoder::new(&body[..]).read_to_string(&mut text)?;
    } else {
        text = String::from_utf8(body.to_vec()).unwrap();
    }
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let reply = {
        let mut shared = shared.lock().unwrap();
        let reply = match shared.dead {
            true => Reply::Broken,
            false => shared.replies.pop().unwrap_or(Reply::Status(200, "")),
        };
        let stored = match reply {
            Reply::Status(status, _) => status == 200,
            Reply::StoredAndBroken | Reply::Late(_) => true,
            Reply::Broken => false,
        };
        shared.batches.push(Batch {
            headers,
            events,
            stored,
            acked: stored && !matches!(reply, Reply::StoredAndBroken),
        });
        reply
    };
    let (status, message) = match reply {
        Reply::Status(status, message) => (status, message),
        Reply::StoredAndBroken | Reply::Broken => {
            return Err(std::io::Error::other("broken off on purpose"));
        }
        Reply::Late(millis) => {
            sleep(Duration::from_millis(millis)).await;
            (200, "")
        }
    };
    let body = json!({"code": status, "message": message}).to_string();
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status.try_into().unwrap();
    Ok(response)
}
