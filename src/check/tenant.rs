//! One tenant: its credential, the token endpoint's clock, the token, what the token allows.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Case, Finding, streams};
use crate::{
    config::Tenant,
    connect,
    graph::{Claims, Client, Credential},
    status::Expiry,
    stream::Stream,
};

/// A clock that differs by more is worth a word.
const SKEW: TimeDelta = TimeDelta::seconds(30);

/// The permissions of which one lets an app see how conditional access judged a sign-in (Entra, "How
/// to view applied conditional access policies").
const POLICIES: [&str; 3] = [
    "Policy.Read.ConditionalAccess",
    "Policy.ReadWrite.ConditionalAccess",
    "Policy.Read.All",
];

pub(super) async fn check(case: &Case<'_>, tenant: &Tenant) -> Vec<Finding> {
    let id = tenant.tenant_id;
    let mut findings = vec![credential(case, tenant)];
    let client = match connect::client(tenant, case.config) {
        Ok(client) => client,
        Err(error) => {
            findings.push(Finding::fail("network", error));
            return findings.into_iter().map(|finding| finding.of(id)).collect();
        }
    };
    match client.get_token().await {
        Ok(date) => {
            findings.push(Finding::ok(
                "token",
                format!("from {}", tenant.cloud.authority()),
            ));
            findings.extend(date.map(|date| clock(date, Utc::now())));
            findings.extend(permissions(tenant, client.claims().as_ref()));
            findings.extend(streams(case, tenant, &client).await);
        }
        Err(error) => {
            findings.push(Finding::fail("token", error));
            findings.push(Finding::skipped("streams", "not looked at without a token"));
        }
    }
    findings.into_iter().map(|finding| finding.of(id)).collect()
}

async fn streams(case: &Case<'_>, tenant: &Tenant, client: &Client) -> Vec<Finding> {
    match &case.running {
        Some(running) => {
            let own: Vec<_> = running
                .iter()
                .filter(|status| status.tenant_id == tenant.tenant_id)
                .collect();
            streams::told(tenant, &own)
        }
        None => streams::asked(case, tenant, client).await,
    }
}

fn credential(case: &Case<'_>, tenant: &Tenant) -> Finding {
    const AREA: &str = "credential";
    let name = tenant.credential.name();
    let Some(expires) = tenant.credential.expires() else {
        return Finding::ok(
            AREA,
            match tenant.credential {
                Credential::App { .. } if name == "client_secret" => {
                    "client_secret; when it expires is not known: set `expires`, to be warned"
                }
                _ => name,
            },
        );
    };
    let expiry = Expiry {
        tenant_id: tenant.tenant_id,
        credential: name,
        expires,
    };
    let within = TimeDelta::days(case.config.telemetry.expiry_warning_days.into());
    match expiry.warning(case.now, within) {
        Some(text) if expires <= case.now => Finding::fail(AREA, text),
        Some(text) => Finding::warn(AREA, text),
        None => Finding::ok(AREA, format!("{name}, until {}", expires.format("%F"))),
    }
}

fn clock(endpoint: DateTime<Utc>, local: DateTime<Utc>) -> Finding {
    let skew = local - endpoint;
    // The endpoint tells whole seconds, and its answer took a while.
    if skew.abs() <= SKEW {
        return Finding::ok("clock", "as Microsoft's");
    }
    let (by, which) = match skew < TimeDelta::zero() {
        true => (-skew, "behind"),
        false => (skew, "ahead of"),
    };
    Finding::warn(
        "clock",
        format!(
            "this machine's clock is {} s {which} Microsoft's; set it. The source goes by theirs, \
             certificates and whatever else runs here do not",
            by.num_seconds()
        ),
    )
}

/// What the token says; whether Graph gives a stream is for Graph to say.
fn permissions(tenant: &Tenant, claims: Option<&Claims>) -> Vec<Finding> {
    const AREA: &str = "permissions";
    let Some(claims) = claims else {
        return vec![Finding::warn(
            AREA,
            "the token cannot be read; Graph will tell",
        )];
    };
    let consent = tenant
        .credential
        .client_id()
        .or(claims.appid)
        .map(|client_id| {
            tenant
                .cloud
                .consent_url(tenant.tenant_id, client_id)
                .to_string()
        })
        .unwrap_or_default();
    if claims.roles.is_empty() {
        return vec![Finding::fail(
            AREA,
            format!(
                "the token carries none: grant the app application permissions and have an \
                 administrator consent at {consent}"
            ),
        )];
    }
    let mut missing: Vec<&str> = tenant
        .streams
        .iter()
        .map(|stream| stream.entry().permission)
        .filter(|permission| !claims.roles.contains(*permission))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    let mut findings = vec![match missing.is_empty() {
        true => Finding::ok(AREA, "the token names one for every stream"),
        false => Finding::warn(
            AREA,
            format!(
                "the token does not name {}; an administrator consents at {consent}",
                missing.join(", ")
            ),
        ),
    }];
    let has_policies = POLICIES.iter().any(|name| claims.roles.contains(*name));
    if is_with_users(tenant) && !has_policies {
        findings.push(Finding::warn(
            AREA,
            "without Policy.Read.ConditionalAccess Graph leaves out, and does not say so, which \
             conditional access policies applied to a sign-in",
        ));
    }
    findings
}

fn is_with_users(tenant: &Tenant) -> bool {
    let with_users = [Stream::SignIns, Stream::SignInsNonInteractive];
    tenant
        .streams
        .iter()
        .any(|stream| with_users.contains(stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much_and_which_way() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let endpoint = at("2026-11-22T10:00:00Z");
        assert_eq!(
            clock(endpoint, at("2026-11-22T10:00:29Z")).verdict,
            Verdict::Ok
        );
        let ahead = clock(endpoint, at("2026-11-22T10:02:00Z"));
        assert_eq!(ahead.verdict, Verdict::Warn);
        assert!(ahead.text.contains("120 s ahead of"), "{}", ahead.text);
        let behind = clock(endpoint, at("2026-11-22T09:00:00Z"));
        assert!(behind.text.contains("3600 s behind"), "{}", behind.text);
    }
}
