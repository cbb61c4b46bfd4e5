//! Shared set-up: an emulated tenant, a pipeline that listens, the binary as a process.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
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
use tempfile::TempDir;
use tokio::net::TcpListener;
use uuid::Uuid;
use vector_entra_id::{
    emulator::{App, Plan, Server, Service, Tenant, Throttle, records},
    stream::{Bucket, Stream},
};

pub const SECRET: &str = "q8Q~emulated+secret&100%/=";
pub const CLIENT_ID: &str = "99999999-8888-4777-8666-555555555555";

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// An emulated tenant on loopback, with a directory for a configuration that reads it.
pub struct Emulated {
    pub server: Server,
    pub dir: TempDir,
}

/// The app that the tests' configurations speak for.
pub fn app() -> App {
    App {
        tenant_id: Uuid::try_parse(records::TENANT_ID).unwrap(),
        client_id: Uuid::try_parse(CLIENT_ID).unwrap(),
        secret: SECRET.into(),
        permissions: Stream::ALL
            .map(|stream| stream.entry().permission.to_owned())
            .into(),
        premium: true,
    }
}

impl Emulated {
    /// A tenant with so many records over the last two hours; the last of them become visible,
    /// and are revised, in the first `live` seconds.
    pub async fn start(records: usize, live: i64) -> Self {
        let plan = Plan {
            records,
            history: TimeDelta::hours(2),
            live: TimeDelta::seconds(live),
            seed: 7,
        };
        let tenant = Tenant::peopled(&plan, Utc::now());
        let server = Server::start(([127, 0, 0, 1], 0).into(), |url| {
            let mut service = Service::new(app(), tenant, url, 7);
            for bucket in [
                Bucket::Reports,
                Bucket::IdentityProtection,
                Bucket::Security,
            ] {
                let per = TimeDelta::seconds(1);
                service.set_throttle(bucket, Throttle { requests: 50, per });
            }
            service
        })
        .await
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), &server.ca_pem).unwrap();
        fs::write(dir.path().join("secret"), format!("{SECRET}\n")).unwrap();
        Self { server, dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A configuration for this tenant, every interval scaled down, delivering to `outlet`.
    pub fn config(&self, outlet: Value) -> Value {
        let limit = json!({"requests": 45, "per_ms": 1025});
        json!({
            "state_dir": self.path("state"),
            "tenants": [{
                "tenant_id": records::TENANT_ID,
                "client_id": CLIENT_ID,
                "client_secret": {"file": self.path("secret")},
                "custom_cloud": {
                    "authority_url": self.server.url.as_str(),
                    "graph_url": self.server.url.as_str(),
                    "ca_file": self.path("ca.pem"),
                },
            }],
            "outlet": outlet,
            "collect": {
                "start_secs": 3 * 3600, "poll_secs": 1, "idle_poll_secs": 1, "overlap_secs": 60,
                "slot_secs": 60, "reread_ages_secs": [1, 2, 4, 8, 16, 32], "snapshot_secs": 2,
                "limits": {"reports": limit, "identity_protection": limit, "security": limit},
            },
        })
    }

    pub fn write_config(&self, config: &Value) -> PathBuf {
        let path = self.path("config.json");
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// What a collector that missed nothing has delivered by now, and whether that is all.
    pub fn owed(&self) -> (usize, bool) {
        let service = self.server.service();
        let now = Utc::now();
        let owed = Stream::ALL
            .map(|stream| service.owed(stream, now))
            .iter()
            .sum();
        let settled = service.tenant.settled_at().is_none_or(|at| at < now);
        (owed, settled)
    }

    /// The texts of a record, one for each of its versions.
    pub fn texts(&self, stream: Stream, id: &str) -> Vec<String> {
        let service = self.server.service();
        let stored = service
            .tenant
            .records(stream)
            .iter()
            .find(|stored| stored.id == id);
        let versions = stored
            .map(|stored| stored.versions.clone())
            .unwrap_or_default();
        versions.into_iter().map(|version| version.text).collect()
    }
}

/// How a pipeline replies to one batch.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// A status, with a message like Vector's.
    Status(u16, &'static str),
    /// The batch is stored and the connection broken off.
    StoredAndBroken,
}

/// A pipeline that listens like Vector's `http_server` source.
pub struct Pipeline {
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    replies: Vec<Reply>,
    batches: Vec<Batch>,
}

/// One batch that came.
#[derive(Clone, Debug)]
pub struct Batch {
    pub headers: BTreeMap<String, String>,
    pub events: Vec<Value>,
    pub acked: bool,
}

impl Pipeline {
    /// Replies with `replies` in their order, and then with 200 for ever.
    pub async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
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

    pub fn outlet(&self) -> Value {
        json!({"http": {"url": self.url}})
    }

    pub fn batches(&self) -> Vec<Batch> {
        self.shared.lock().unwrap().batches.clone()
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
    let mut shared = shared.lock().unwrap();
    let reply = shared.replies.pop().unwrap_or(Reply::Status(200, ""));
    let acked = matches!(reply, Reply::Status(200, _));
    shared.batches.push(Batch {
        headers,
        events,
        acked,
    });
    match reply {
        Reply::Status(status, message) => {
            let body = json!({"code": status, "message": message}).to_string();
            let mut response = Response::new(Full::new(body.into()));
            *response.status_mut() = status.try_into().unwrap();
            Ok(response)
        }
        Reply::StoredAndBroken => Err(std::io::Error::other("broken off on purpose")),
    }
}

/// The binary, as a process whose output is read as it comes.
pub struct Process {
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
    errors: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

pub fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vector-entra-id"))
}

impl Process {
    /// `run` with a configuration.
    pub fn run(config: &Path) -> Self {
        let mut command = binary();
        command.arg("run").arg("--config").arg(config);
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let errors = Arc::new(Mutex::new(String::new()));
        let (lines, text) = (Arc::clone(&output), Arc::clone(&errors));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let readers = vec![
            thread::spawn(move || {
                for line in stdout.lines().map_while(Result::ok) {
                    lines.lock().unwrap().push(line);
                }
            }),
            thread::spawn(move || {
                for line in stderr.lines().map_while(Result::ok) {
                    let mut text = text.lock().unwrap();
                    text.push_str(&line);
                    text.push('\n');
                }
            }),
        ];
        Self {
            child,
            output,
            errors,
            readers,
        }
    }

    pub fn lines(&self) -> Vec<String> {
        self.output.lock().unwrap().clone()
    }

    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
    }

    /// Waits for the end; the exit code, with all that was written to standard error.
    pub fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "still running: {}",
                self.errors()
            );
            thread::sleep(Duration::from_millis(20));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status, self.errors())
    }

    /// SIGTERM, and then as [`Process::end`].
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.end()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How often each revision of each document is among events.
pub fn revisions(events: &[Value]) -> BTreeMap<(String, u64), usize> {
    let mut revisions = BTreeMap::new();
    for event in events {
        let envelope = &event["entra_id"];
        let id = envelope["document_id"].as_str().unwrap().to_owned();
        let revision = envelope["revision"].as_u64().unwrap();
        *revisions.entry((id, revision)).or_insert(0) += 1;
    }
    revisions
}
