//! The README's two stanzas under a real Vector, where there is one on PATH; where there is none,
//! the tests say so and prove nothing.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    common::{Emulated, Process, until},
    crash::first_missing,
};

/// Whether there is a Vector to try; says so where there is none.
pub fn there_is_vector() -> bool {
    let there = Command::new("vector").arg("--version").output().is_ok();
    if !there {
        eprintln!("there is no `vector` on PATH; nothing was tried");
    }
    there
}

/// The README's YAML block that configures a source of the given type.
fn stanza(kind: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let block = readme
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.contains(&format!("type: {kind}")));
    block.unwrap().to_owned()
}

/// Puts this test's paths into a stanza.
fn fitted(emulated: &Emulated, kind: &str, port: u16) -> String {
    let vrl = Path::new(env!("CARGO_MANIFEST_DIR")).join("vrl");
    let config = emulated.path("config.json");
    stanza(kind)
        .replace("/etc/vector/entra-id/vrl", &vrl.display().to_string())
        .replace(
            "/etc/vector-entra-id/config.yaml",
            &config.display().to_string(),
        )
        .replace(
            "command: [vector-entra-id,",
            &format!("command: [{},", env!("CARGO_BIN_EXE_vector-entra-id")),
        )
        .replace(
            "/var/log/entra-id",
            &emulated.dir.path().display().to_string(),
        )
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
}

fn write_valid(emulated: &Emulated, stanza: &str) -> PathBuf {
    let path = emulated.path("vector.yaml");
    fs::write(
        &path,
        format!("data_dir: {}\n{stanza}", emulated.dir.path().display()),
    )
    .unwrap();
    let validate = Command::new("vector")
        .args(["validate", "--deny-warnings", "--no-environment"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&validate.stdout).into_owned();
    assert!(validate.status.success(), "{said}");
    path
}

fn start_vector(config: &Path) -> Process {
    let mut command = Command::new("vector");
    command.args(["--quiet", "--config"]).arg(config);
    Process::spawn(command)
}

fn documents(emulated: &Emulated) -> Vec<Value> {
    let files = fs::read_dir(emulated.dir.path()).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "ndjson")
        })
        .flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let lines = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<Value>>()
        })
        .collect()
}

fn distinct(documents: &[Value]) -> usize {
    let keys = documents.iter().map(|document| {
        let envelope = &document["azure"]["entraid"];
        assert!(document["@timestamp"].is_string(), "{document}");
        assert_ne!(document["event"]["kind"], "pipeline_error", "{document}");
        (
            envelope["document_id"].to_string(),
            envelope["revision"].to_string(),
        )
    });
    keys.collect::<std::collections::BTreeSet<_>>().len()
}

async fn until_complete(emulated: &Emulated) {
    until("every document is in Vector's files", || {
        let (owed, settled) = emulated.owed();
        settled && distinct(&documents(emulated)) == owed
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exec_stanza_brings_every_record_into_files() {
    if !there_is_vector() {
        return;
    }
    let emulated = Emulated::start(200, 2).await;
    emulated.write_config(&emulated.config(json!({"stdout": {}})));
    let stanza = write_valid(&emulated, &fitted(&emulated, "exec", 0));
    let vector = start_vector(&stanza);
    until_complete(&emulated).await;
    let (status, errors) = vector.stop();
    assert!(status.success(), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_server_stanza_acknowledges_and_survives_vector_s_death() {
    if !there_is_vector() {
        return;
    }
    let emulated = Emulated::start(300, 6).await;
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let stanza = write_valid(&emulated, &fitted(&emulated, "http_server", port));
    let outlet = json!({"http": {"url": format!("http://127.0.0.1:{port}/")}});
    let config = emulated.write_config(&emulated.config(outlet));
    let vector = start_vector(&stanza);
    let source = Process::run(&config);
    until("something came through", || {
        !documents(&emulated).is_empty()
    })
    .await;
    vector.signal("KILL");
    drop(vector);
    let vector = start_vector(&stanza);
    until_complete(&emulated).await;
    let (status, errors) = source.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(vector.stop().0.success());
}

/// The stanza with files of its own: a killed Vector leaves half a line behind, which the next one
/// would go on with.
fn of_round(emulated: &Emulated, stanza: &str, round: usize) -> PathBuf {
    write_valid(
        emulated,
        &stanza.replace("%Y-%m-%d", &format!("round-{round}")),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn vector_and_the_source_killed_in_turn_under_load_lose_nothing() {
    if !there_is_vector() {
        return;
    }
    let emulated = Emulated::start(1200, 60).await;
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let stanza = fitted(&emulated, "http_server", port);
    let outlet = json!({"http": {"url": format!("http://127.0.0.1:{port}/")}});
    let mut config = emulated.config(outlet);
    // Kills go on for longer than what is revised may be late.
    config["collect"]["reread_ages_secs"] = json!([1, 2, 4, 8, 16, 32, 180]);
    let config = emulated.write_config(&config);
    let mut rng = fastrand::Rng::with_seed(13);
    for round in 0..4 {
        let vector = start_vector(&of_round(&emulated, &stanza, round));
        for _ in 0..5 {
            let source = Process::run(&config);
            tokio::time::sleep(Duration::from_millis(rng.u64(200..2500))).await;
            source.kill();
        }
        let source = Process::run(&config);
        tokio::time::sleep(Duration::from_millis(rng.u64(200..2500))).await;
        vector.kill();
        source.kill();
    }
    let vector = start_vector(&of_round(&emulated, &stanza, 4));
    let source = Process::run(&config);
    until("the latest version of every record is in the files", || {
        let events: Vec<Value> = documents(&emulated)
            .into_iter()
            .filter(|document| document["event"]["kind"] != "metric")
            .map(|document| {
                let mut envelope = document["azure"]["entraid"].clone();
                envelope["record_id"] = document["event"]["id"].clone();
                json!({"message": document["message"], "entra_id": envelope})
            })
            .collect();
        emulated.owed().1 && first_missing(&emulated, &events).is_none()
    })
    .await;
    let (status, errors) = source.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(vector.stop().0.success());
}
