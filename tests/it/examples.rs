//! The example configurations: each can be read, its tests pass, a real Vector finds it valid, and
//! what it says of the latest revision holds against a store that knows versions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use kafka_protocol::records::Compression;
use vector_entra_id::config::{self, Format};

use crate::{
    catalogue::project,
    common::{
        Emulated, Process, binary,
        broker::{Broker, Message},
        bulk::Bulk,
        free_port, until,
    },
    real_vector::there_is_vector,
};

/// Every Vector configuration among the examples.
fn examples() -> Vec<PathBuf> {
    let dir = project().join("config-examples");
    let files = |dir: &Path| -> Vec<PathBuf> {
        let files = fs::read_dir(dir).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    };
    let mut all = files(&dir);
    all.extend(files(&dir.join("many-tenants")));
    all.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
            && fs::read_to_string(path).unwrap().contains("\nsources:")
    });
    all.sort();
    assert!(all.len() >= 14, "{all:?}");
    all
}

/// An example with this tree's files in place of those that are installed.
fn fitted(path: &Path) -> String {
    let here = |name: &str| project().join(name).display().to_string();
    fs::read_to_string(path)
        .unwrap()
        .replace("/etc/vector/entra-id/vrl", &here("vrl"))
        .replace("/etc/vector/entra-id/tables", &here("tests/vrl/tables"))
        .replace(
            "/etc/vector/entra-id/tenants.vrl",
            &here("config-examples/many-tenants/tenants.vrl"),
        )
        .replace(
            "/etc/vector/entra-id/secrets.json",
            &here("config-examples/secrets.json"),
        )
}

/// Runs a command on every example, and says which of them it fails on.
fn each(mut command: impl FnMut(&Path) -> Command) {
    let dir = tempfile::tempdir().unwrap();
    for example in examples() {
        let path = dir.path().join(example.file_name().unwrap());
        fs::write(&path, fitted(&example)).unwrap();
        let output = command(&path).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{}\n{}{}",
            example.display(),
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}

#[test]
fn the_tests_of_every_example_pass() {
    each(|path| {
        let mut command = binary();
        command.arg("test").arg(path);
        command
    });
}

#[test]
fn a_real_vector_finds_every_example_valid() {
    if there_is_vector() {
        each(|path| {
            let mut command = Command::new("vector");
            command
                .args(["validate", "--deny-warnings", "--no-environment"])
                .arg(path);
            command
        });
    }
}

/// It compiles the mapping several times for each test, which takes some minutes.
#[test]
fn a_real_vector_passes_the_tests_of_every_example() {
    if std::env::var_os("VECTOR_TEST_EXAMPLES").is_none() {
        eprintln!("VECTOR_TEST_EXAMPLES is not set; `vector test` was not run on the examples");
    } else if there_is_vector() {
        each(|path| {
            let mut command = Command::new("vector");
            command.arg("test").arg(path);
            command
        });
    }
}

#[test]
fn what_the_examples_give_the_source_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = project().join("tests/it/certificates");
    let secret = dir.path().join("secret");
    fs::write(&secret, "s3cr3t").unwrap();
    let sources = project().join("config-examples/source");
    let mut files: Vec<PathBuf> = fs::read_dir(sources)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.push(project().join("config-examples/many-tenants/config.yaml"));
    files.push(project().join("packaging/systemd/config.yaml.example"));
    assert!(files.len() >= 7, "{files:?}");
    for path in files {
        let mut text = fs::read_to_string(&path).unwrap();
        for (installed, here) in [
            (
                "/etc/vector-entra-id/tls/ca.pem",
                certificates.join("certificate.pem"),
            ),
            (
                "/etc/vector-entra-id/tls/source.pem",
                certificates.join("certificate.pem"),
            ),
            (
                "/etc/vector-entra-id/tls/source.key",
                certificates.join("key.pem"),
            ),
            ("/etc/vector-entra-id/client-secret", secret.clone()),
            ("/etc/vector-entra-id/outlet-password", secret.clone()),
            ("/etc/vector-entra-id/secrets/contoso-us", secret.clone()),
            ("/etc/vector-entra-id/secrets/contoso", secret.clone()),
            ("/etc/vector-entra-id/secrets/fabrikam", secret.clone()),
            (
                "/run/credentials/vector-entra-id.service/client-secret",
                secret.clone(),
            ),
        ] {
            text = text.replace(installed, &here.display().to_string());
        }
        let read = config::parse(&path.display().to_string(), &text, Format::Yaml);
        assert!(read.is_ok(), "{}", read.unwrap_err());
    }
}

/// Vector with a configuration, and a source that delivers to it.
fn start(emulated: &Emulated, vector: &str) -> (Process, Process) {
    let port = free_port();
    let text = vector.replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
    let path = emulated.path("vector.yaml");
    fs::write(
        &path,
        format!("data_dir: {}\n{text}", emulated.dir.path().display()),
    )
    .unwrap();
    let mut command = Command::new("vector");
    command.args(["--quiet", "--config"]).arg(&path);
    let vector = Process::spawn(command);
    let outlet = serde_json::json!({"http": {"url": format!("http://127.0.0.1:{port}/")}});
    let source = Process::run(&emulated.write_config(&emulated.config(outlet)));
    (vector, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_has_every_revision_under_its_document_s_key_in_their_order() {
    if !there_is_vector() {
        return;
    }
    let emulated = Emulated::start(150, 4).await;
    let broker = Broker::start().await;
    let example = project().join("config-examples/kafka.yaml");
    let servers = "kafka-1.example.com:9093,kafka-2.example.com:9093";
    let text = fitted(&example)
        .replace(servers, &broker.address.to_string())
        // The broker here speaks plainly and asks for no password.
        .replace("tls: {enabled: true}", "tls: {enabled: false}")
        .replace("sasl:\n      enabled: true", "sasl:\n      enabled: false");
    let (vector, source) = start(&emulated, &text);
    let of = |message: &Message| {
        let envelope = &message.value["azure"]["entraid"];
        let id = envelope["document_id"].as_str().unwrap().to_owned();
        (id, envelope["revision"].as_u64().unwrap())
    };
    until("every revision is in the topic", || {
        let (owed, settled) = emulated.owed();
        let came: BTreeSet<_> = broker.messages("entra-id").iter().map(of).collect();
        settled && came.len() >= owed
    })
    .await;
    let mut latest = BTreeMap::new();
    for message in broker.messages("entra-id") {
        let (id, revision) = of(&message);
        assert_eq!(message.key.as_ref(), Some(&id));
        assert_eq!(message.compression, Compression::Zstd);
        assert!(message.numbered, "{message:?}");
        let before = latest.insert(id, revision);
        assert!(before.is_none_or(|before| before < revision), "{message:?}");
    }
    let (status, errors) = source.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    vector.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn elasticsearch_ends_with_the_latest_revision_of_each_record_whatever_it_answers() {
    if !there_is_vector() {
        return;
    }
    let emulated = Emulated::start(150, 4).await;
    // Some requests are refused as a whole, some documents for now.
    let bulk = Bulk::start(|request| request % 5 == 1, |document| document % 37 == 5).await;
    let example = project().join("config-examples/elasticsearch-latest.yaml");
    let text = fitted(&example).replace("https://elasticsearch.example.com:9200", &bulk.url);
    let (vector, source) = start(&emulated, &text);
    until("the latest of each record is in the store", || {
        let (_, settled) = emulated.owed();
        settled && emulated.latest().iter().all(|text| bulk.holds(text))
    })
    .await;
    let documents = bulk.documents("entra-id-2");
    let states = bulk.documents("entra-id-states");
    assert_eq!(documents.len() + states.len(), emulated.latest().len());
    for (id, version, document) in documents.iter().chain(&states) {
        let envelope = &document["azure"]["entraid"];
        assert_eq!(envelope["document_id"], id.as_str());
        assert_eq!(envelope["observed_ms"], *version);
    }
    let (status, errors) = source.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(bulk.refused() > 0, "nothing was refused on the way");
    vector.stop();
}
