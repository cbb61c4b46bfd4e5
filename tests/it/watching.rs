//! What a running source tells those who ask: `status`, the metrics, its own events.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use serde_json::Value;

use crate::common::{Emulated, Pipeline, Process, binary, free_port, until};

fn status(config: &Path, format: &str) -> (Option<i32>, String) {
    let mut command = binary();
    command
        .args(["status", "--format", format, "--config"])
        .arg(config);
    let output = command.output().unwrap();
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn streams(config: &Path) -> Vec<Value> {
    let (code, text) = status(config, "json");
    assert_eq!(code, Some(0), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Records delivered, of all streams.
fn records(streams: &[Value]) -> u64 {
    streams
        .iter()
        .map(|stream| stream["records"].as_u64().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_metrics_tell_what_was_delivered_while_it_runs_and_status_after_it() {
    let emulated = Emulated::start(200, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let mut config = emulated.config(pipeline.outlet());
    let address = format!("127.0.0.1:{}", free_port());
    config["telemetry"] = serde_json::json!({"status_secs": 1, "metrics_listen": address});
    let config = emulated.write_config(&config);
    let (code, text) = status(&config, "text");
    assert_eq!(code, Some(1));
    assert!(text.contains("nothing was collected yet"), "{text}");

    let process = Process::run(&config);
    let is_record = |event: &&Value| event["entra_id"]["kind"].is_null();
    until("everything came through and is on the board", || {
        let (owed, settled) = emulated.owed();
        let records_stored = pipeline.acked().iter().filter(is_record).count();
        settled && records_stored >= owed && records(&streams(&config)) >= 200
    })
    .await;
    let running = streams(&config);
    assert_eq!(running.len(), 11);
    assert!(
        running.iter().all(|stream| stream["phase"] != "stopped"),
        "{running:#?}"
    );
    let (_, text) = status(&config, "text");
    assert!(
        text.contains("(running)") && text.contains("risky_users"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");

    let metrics = http_get(&format!("http://{address}/metrics")).await;
    let told: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("entra_id_records_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert!(told >= 200.0, "{metrics}");

    until("every stream has told its status in the pipeline", || {
        let told: std::collections::BTreeSet<String> = pipeline
            .acked()
            .iter()
            .filter(|event| event["entra_id"]["kind"] == "status")
            .map(|event| event["entra_id"]["stream"].to_string())
            .collect();
        told.len() == 11
    })
    .await;
    let (code, errors) = process.stop();
    assert_eq!(code.code(), Some(0), "{errors}");
    assert!(!emulated.path("state/control.sock").exists());

    let saved = streams(&config);
    assert_eq!(records(&saved), records(&running));
    assert!(saved.iter().all(|stream| stream["phase"] == "stopped"));
}

/// The text of one HTTP answer.
async fn http_get(url: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = url.trim_start_matches("http://").split('/').next().unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_stream_is_shown_with_what_to_do() {
    let emulated = Emulated::start(50, 1).await;
    emulated
        .server
        .service()
        .app
        .permissions
        .remove("IdentityRiskyUser.Read.All");
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let process = Process::run(&config);
    let shown = || {
        let (code, text) = status(&config, "text");
        (code == Some(0)).then_some(text)
    };
    until("the denied stream is shown", || {
        shown().is_some_and(|text| text.contains("! risky_users: "))
    })
    .await;
    let text = shown().unwrap();
    assert!(text.contains("IdentityRiskyUser.Read.All"), "{text}");
    assert_eq!(process.stop().0.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_under_stdout_is_shown_once_with_what_to_do() {
    let emulated = Emulated::start(20, 1).await;
    fs::write(emulated.path("secret"), "wrong").unwrap();
    let outlet = serde_json::json!({"stdout": {}});
    let config = emulated.write_config(&emulated.config(outlet));
    let mut process = Process::run(&config);
    until("the halt is shown", || {
        let (code, text) = status(&config, "text");
        code == Some(0) && text.contains("(halted)")
    })
    .await;
    let (_, text) = status(&config, "text");
    assert_eq!(text.matches("AADSTS7000215").count(), 1, "{text}");
    assert!(process.is_running());
    assert_eq!(process.stop().0.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_the_start_under_stdout_stays_quiet_and_writes_nothing_again() {
    let emulated = Emulated::start(50, 1).await;
    let mut config = emulated.config(serde_json::json!({"stdout": {}}));
    let first = Process::run(&emulated.write_config(&config));
    until("something was written", || !first.lines().is_empty()).await;
    first.kill();
    config["collect"]["slot_secs"] = serde_json::json!(120);
    let config = emulated.write_config(&config);
    let mut second = Process::run(&config);
    until("the fault is told", || {
        second.errors().contains("slot_secs")
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(second.is_running());
    assert_eq!(second.lines(), Vec::<String>::new());
    assert_eq!(second.stop().0.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_waits_for_the_first_and_takes_over() {
    let emulated = Emulated::start(50, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let first = Process::run(&config);
    until("the first collects", || !pipeline.acked().is_empty()).await;
    let mut second = Process::run(&config);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(second.is_running(), "{}", second.errors());
    assert_eq!(first.stop().0.code(), Some(0));
    until("the second collects", || {
        fs::metadata(emulated.path("state/control.sock")).is_ok()
            && second.errors().contains("collecting")
    })
    .await;
    assert_eq!(second.stop().0.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metrics_address_that_is_taken_ends_the_source_which_may_start_again() {
    let emulated = Emulated::start(20, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = emulated.config(pipeline.outlet());
    config["telemetry"] = serde_json::json!({"metrics_listen": taken.local_addr().unwrap()});
    let (status, errors) = Process::run(&emulated.write_config(&config)).end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("telemetry.metrics_listen: cannot listen on"),
        "{errors}"
    );
}
