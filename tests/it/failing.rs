//! What an operator sees when something is wrong: one clear line, its scope, its exit code, and
//! never the secret.

use std::{fs, net::TcpListener, time::Duration};

use serde_json::{Value, json};
use vector_entra_id::stream::Stream;

use crate::common::{Emulated, Pipeline, Process, Reply, SECRET, revisions, until};

const WRONG: &str = "wrong~secret~value";

async fn ends_with(emulated: &Emulated, config: &Value) -> (Option<i32>, String) {
    let process = Process::run(&emulated.write_config(config));
    let (status, errors) = tokio::task::spawn_blocking(|| process.end()).await.unwrap();
    assert!(
        !errors.contains(SECRET) && !errors.contains(WRONG),
        "{errors}"
    );
    assert!(!errors.contains("panicked"), "{errors}");
    (status.code(), errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_halts_the_tenant_and_asks_once() {
    let emulated = Emulated::start(50, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    fs::write(emulated.path("secret"), WRONG).unwrap();
    let (code, errors) = ends_with(&emulated, &emulated.config(pipeline.outlet())).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("AADSTS7000215"), "{errors}");
    assert!(
        errors.contains("the secret's value, not its ID"),
        "{errors}"
    );
    assert_eq!(emulated.server.service().served.tokens, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_tenant_or_app_is_named() {
    let emulated = Emulated::start(50, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let other = "00000000-1111-4222-8333-444444444444";
    for (key, says) in [("tenant_id", "AADSTS90002"), ("client_id", "AADSTS700016")] {
        let mut config = emulated.config(pipeline.outlet());
        config["tenants"][0][key] = json!(other);
        let (code, errors) = ends_with(&emulated, &config).await;
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(says) && errors.contains(other), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_stdout_a_halt_stays_alive_and_quiet() {
    let emulated = Emulated::start(50, 1).await;
    fs::write(emulated.path("secret"), WRONG).unwrap();
    let config = emulated.config(json!({"stdout": {}}));
    let mut process = Process::run(&emulated.write_config(&config));
    until("the fault is told", || {
        process.errors().contains("AADSTS7000215")
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(process.is_running());
    assert_eq!(emulated.server.service().served.tokens, 1);
    let (status, _) = process.stop();
    assert_eq!(status.code(), Some(1));
}

/// Runs until every stream but `without` has come through, and returns the log.
async fn collects_the_rest(emulated: &Emulated, without: &[Stream]) -> String {
    let pipeline = Pipeline::start(Vec::new()).await;
    let process = Process::run(&emulated.write_config(&emulated.config(pipeline.outlet())));
    until("the other streams came through", || {
        let now = chrono::Utc::now();
        let service = emulated.server.service();
        let settled = service.tenant.settled_at().is_none_or(|at| at < now);
        let others = Stream::ALL
            .into_iter()
            .filter(|stream| !without.contains(stream));
        let owed: usize = others.map(|stream| service.owed(stream, now)).sum();
        settled && revisions(&pipeline.acked()).len() == owed
    })
    .await;
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_costs_its_stream_alone() {
    let emulated = Emulated::start(100, 1).await;
    emulated
        .server
        .service()
        .app
        .permissions
        .remove("IdentityRiskyUser.Read.All");
    let errors = collects_the_rest(&emulated, &[Stream::RiskyUsers]).await;
    assert!(
        errors.contains("IdentityRiskyUser.Read.All is missing"),
        "{errors}"
    );
    assert!(errors.contains("risky_users"), "{errors}");
    assert_eq!(errors.matches("is missing").count(), 1, "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_licence_is_told_as_one() {
    let emulated = Emulated::start(100, 1).await;
    emulated.server.service().app.premium = false;
    let free = [Stream::DirectoryAudits, Stream::SecurityAlerts];
    let without: Vec<Stream> = Stream::ALL
        .into_iter()
        .filter(|s| !free.contains(s))
        .collect();
    let errors = collects_the_rest(&emulated, &without).await;
    assert!(errors.contains("it needs Entra ID P1 or P2"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_host_is_named_and_tried_again() {
    let emulated = Emulated::start(50, 1).await;
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut config = emulated.config(json!({"http": {"url": "http://127.0.0.1:9/"}}));
    config["tenants"][0]["custom_cloud"]["authority_url"] = json!(format!("https://{closed}"));
    let mut process = Process::run(&emulated.write_config(&config));
    let says = format!("cannot reach {closed}");
    until("the fault is told", || process.errors().contains(&says)).await;
    assert!(process.is_running());
    assert_eq!(process.stop().0.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_ca_is_not_trusted() {
    let emulated = Emulated::start(50, 1).await;
    let other = Emulated::start(20, 1).await;
    fs::write(emulated.path("ca.pem"), &other.server.ca_pem).unwrap();
    let config = emulated.config(json!({"http": {"url": "http://127.0.0.1:9/"}}));
    let process = Process::run(&emulated.write_config(&config));
    until("the fault is told", || {
        process.errors().contains("cannot reach")
    })
    .await;
    assert_eq!(process.stop().0.code(), Some(0));
    assert_eq!(emulated.server.service().served.tokens, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_is_shut_halts_the_process_with_the_remedy() {
    for (status, says) in [
        (401, "outlet.http.auth"),
        (404, "the source's `path`"),
        (405, "must be POST"),
        (415, "compression: none"),
    ] {
        let emulated = Emulated::start(50, 1).await;
        let pipeline = Pipeline::start(vec![Reply::Status(status, "no"); 100]).await;
        let (code, errors) = ends_with(&emulated, &emulated.config(pipeline.outlet())).await;
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(says), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_one_state_is_refused() {
    let emulated = Emulated::start(50, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.config(pipeline.outlet());
    let first = Process::run(&emulated.write_config(&config));
    until("the first one works", || !pipeline.batches().is_empty()).await;
    let (code, errors) = ends_with(&emulated, &config).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("in use by another process"), "{errors}");
    assert_eq!(first.stop().0.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_a_clean_end() {
    let emulated = Emulated::start(300, 1).await;
    let config = emulated.write_config(&emulated.config(json!({"stdout": {}})));
    let run = format!(
        "{} run --config {} 2>/dev/null | head -n 1 >/dev/null; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_vector-entra-id"),
        config.display()
    );
    let mut command = std::process::Command::new("bash");
    command.arg("-c").arg(run);
    let process = Process::spawn(command);
    let (status, _) = tokio::task::spawn_blocking(|| process.end()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_rotated_after_it_was_refused_is_picked_up_without_a_restart() {
    let emulated = Emulated::start(50, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    emulated.server.service().tokens.life = chrono::TimeDelta::seconds(3);
    let process = Process::run(&emulated.write_config(&emulated.config(pipeline.outlet())));
    until("records come", || !pipeline.acked().is_empty()).await;
    emulated.server.service().app.secret = "rotated~secret".into();
    until("the old secret is refused", || {
        process.errors().contains("AADSTS7000215")
    })
    .await;
    let refused = emulated.server.service().served.tokens;
    fs::write(emulated.path("secret"), "rotated~secret\n").unwrap();
    until("it is picked up", || {
        process.errors().contains("was replaced; trying again")
    })
    .await;
    let before = emulated.server.service().served.requests;
    until("Graph is read again", || {
        emulated.server.service().served.requests > before + 10
    })
    .await;
    assert!(emulated.server.service().served.tokens > refused);
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(!errors.contains("rotated~secret"), "{errors}");
}
