//! SIGTERM and SIGINT: the first stops, the second ends the process at once.

use std::process;

use tokio::sync::watch;
use tracing::info;

/// Asks to stop on the first signal. On the second the process ends with 1, as whatever is unacked
/// is delivered by the next start.
pub async fn stop_on_signal(stop: watch::Sender<bool>) {
    next_signal().await;
    info!(
        "stopping: what is being delivered has 20 s to come to its end; a second signal ends at once"
    );
    stop.send_replace(true);
    next_signal().await;
    info!("ended at once; what was not acked is delivered by the next start");
    process::exit(1);
}

/// Waits for one signal.
pub async fn next_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    #[cfg(not(unix))]
    {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Asks to stop when the terminal goes away.
pub async fn stop_on_hangup(stop: watch::Sender<bool>) {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut hangup) = signal(SignalKind::hangup()) {
        hangup.recv().await;
        stop.send_replace(true);
    }
}
