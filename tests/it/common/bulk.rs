//! A store that speaks Elasticsearch's bulk protocol, with external versions.
//!
//! Elasticsearch, "Bulk API" and "Index API" (version_type `external_gte`: an equal or higher
//! version is written, a lower one is a conflict, 409).

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, Mutex},
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
use tokio::net::TcpListener;

type Busy = Box<dyn Fn(u64) -> bool + Send>;

/// The running store.
pub struct Bulk {
    pub url: String,
    shared: Arc<Mutex<Store>>,
}

struct Store {
    /// By index and id: version and document.
    held: BTreeMap<(String, String), (i64, Value)>,
    requests: u64,
    documents: u64,
    refused: u64,
    busy_request: Busy,
    busy_document: Busy,
}

impl Bulk {
    /// Answers 429 to the requests and to the documents, by their number, that are told.
    pub async fn start(
        busy_request: impl Fn(u64) -> bool + Send + 'static,
        busy_document: impl Fn(u64) -> bool + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Store {
            held: BTreeMap::new(),
            requests: 0,
            documents: 0,
            refused: 0,
            busy_request: Box::new(busy_request),
            busy_document: Box::new(busy_document),
        }));
        let store = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let answer = service_fn(move |request| answer(Arc::clone(&store), request));
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), answer)
                        .await;
                });
            }
        });
        Self { url, shared }
    }

    /// Whether some document holds this record, to the letter.
    pub fn holds(&self, record: &str) -> bool {
        let store = self.shared.lock().unwrap();
        store
            .held
            .values()
            .any(|(_, document)| document["message"] == record)
    }

    /// The documents of the indexes whose names begin so: id, version, document.
    pub fn documents(&self, index: &str) -> Vec<(String, i64, Value)> {
        let store = self.shared.lock().unwrap();
        let of_index = store
            .held
            .iter()
            .filter(|((name, _), _)| name.starts_with(index));
        of_index
            .map(|((_, id), (version, document))| (id.clone(), *version, document.clone()))
            .collect()
    }

    /// Requests and documents that were refused.
    pub fn refused(&self) -> u64 {
        self.shared.lock().unwrap().refused
    }
}

async fn answer(
    store: Arc<Mutex<Store>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let mut text = String::new();
    if parts
        .headers
        .get("content-encoding")
        .is_some_and(|encoding| encoding == "gzip")
    {
        GzDecoder::new(&body[..]).read_to_string(&mut text)?;
    } else {
        text = String::from_utf8(body.to_vec()).unwrap();
    }
    let (status, body) = match parts.uri.path() {
        "/_bulk" => store.lock().unwrap().bulk(&text),
        _ => (200, json!({"version": {"number": "8.15.0"}})),
    };
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = status.try_into().unwrap();
    response
        .headers_mut()
        .insert("content-type", "application/json".try_into().unwrap());
    Ok(response)
}

impl Store {
    fn bulk(&mut self, text: &str) -> (u16, Value) {
        self.requests += 1;
        if (self.busy_request)(self.requests) {
            self.refused += 1;
            return (
                429,
                json!({"error": {"type": "es_rejected_execution_exception"}}),
            );
        }
        let mut items = Vec::new();
        let mut errors = false;
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
            let status = self.put(&action["index"], document);
            errors |= status >= 300;
            let of = &action["index"];
            items.push(json!({"index": {
                "_index": of["_index"], "_id": of["_id"], "status": status,
                "error": if status >= 300 { json!({"type": "refused", "reason": "as asked"}) }
                         else { Value::Null },
            }}));
        }
        (200, json!({"took": 1, "errors": errors, "items": items}))
    }

    fn put(&mut self, action: &Value, document: Value) -> u16 {
        self.documents += 1;
        if (self.busy_document)(self.documents) {
            self.refused += 1;
            return 429;
        }
        let Some(id) = action["_id"].as_str() else {
            return 201;
        };
        assert_eq!(action["version_type"], "external_gte", "{action}");
        let version = action["version"].as_i64().unwrap();
        let key = (action["_index"].as_str().unwrap().to_owned(), id.to_owned());
        match self.held.get(&key) {
            Some((held, _)) if *held > version => {
                self.refused += 1;
                409
            }
            _ => {
                self.held.insert(key, (version, document));
                200
            }
        }
    }
}
