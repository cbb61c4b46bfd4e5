//! What a running source does about its tenants' credentials: it warns before one expires, and
//! waits for a new one where Entra refuses the old.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use tokio::time::{Instant, interval, sleep};
use tracing::warn;

use crate::{
    config::Tenant,
    graph::Credential,
    record::Hash,
    status::{Board, Expiry},
};

/// How often a file that Entra refused is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long after a refusal the same credential is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(15 * 60);
/// How often an expiry is looked at, and how many looks there are to one warning.
const CHECK_EVERY: Duration = Duration::from_secs(60 * 60);
const CHECKS_A_WARNING: u32 = 24;

/// When a tenant's credential expires, if that is known.
#[must_use]
pub fn expiry(tenant: &Tenant) -> Option<Expiry> {
    Some(Expiry {
        tenant_id: tenant.tenant_id,
        credential: tenant.credential.name(),
        expires: tenant.credential.expires()?,
    })
}

/// Keeps the board's expiries current, and warns once a day while one is near. Never ends.
pub async fn expiries(tenants: Vec<Tenant>, board: Arc<Board>, within: TimeDelta) {
    let mut ticks = interval(CHECK_EVERY);
    let mut checks = 0_u32;
    loop {
        ticks.tick().await;
        for expiry in tenants.iter().filter_map(expiry) {
            board.put_expiry(expiry);
            if checks.is_multiple_of(CHECKS_A_WARNING)
                && let Some(text) = expiry.warning(Utc::now(), within)
            {
                warn!(tenant = %expiry.tenant_id, "{text}");
            }
        }
        checks = checks.wrapping_add(1);
    }
}

/// Waits until a refused credential may be tried again: when its files are no longer those of
/// `refused`, or after a while, since it may have been mended in Entra.
pub async fn replaced(credential: &Credential, refused: Option<Hash>) {
    let began = Instant::now();
    while credential.fingerprint() == refused && began.elapsed() < TRY_AGAIN {
        sleep(LOOK_EVERY).await;
    }
}
