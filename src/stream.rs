//! The catalogue of streams: all that differs between them, as data.
//!
//! Paths, properties, operators and permissions are those of Microsoft Graph's reference
//! (resources signIn, directoryAudit, provisioningObjectSummary, riskDetection,
//! servicePrincipalRiskDetection, riskyUser, riskyServicePrincipal, alert) and of its metadata
//! (microsoftgraph/msgraph-metadata, schemas/v1.0-Prod.csdl). Limits that no document states are
//! marked as such.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One Graph log.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    DirectoryAudits,
    SignIns,
    SignInsNonInteractive,
    SignInsServicePrincipal,
    SignInsManagedIdentity,
    Provisioning,
    RiskDetections,
    ServicePrincipalRiskDetections,
    RiskyUsers,
    RiskyServicePrincipals,
    SecurityAlerts,
}

/// How a stream's records behave over time, and so how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A record's time is fixed; the stream is read by it.
    Events,
    /// A record's time moves when it changes; the stream is read by its last-updated time.
    Versions,
    /// A list of states without a usable range filter; read whole and compared by id.
    Snapshot,
}

/// The Graph version whose shape the stream is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    V1,
    Beta,
}

/// The range operators that Graph documents for the time property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operators {
    /// `ge` and `le`: both ends belong to the range.
    GeLe,
    /// `gt` and `lt` only: neither end belongs to the range.
    GtLt,
}

/// What a request counts against when Graph throttles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// Reports: 5 requests in 10 seconds per app and tenant (Graph, throttling limits).
    Reports,
    /// Identity protection: 1 request a second per tenant, shared by all its apps (same page).
    IdentityProtection,
    /// Security alerts: no limit is documented.
    Security,
}

impl Bucket {
    /// The bucket's name in configuration and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::IdentityProtection => "identity_protection",
            Self::Security => "security",
        }
    }
}

/// A stream's line in the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name in configuration, events and messages.
    pub name: &'static str,
    /// Path below the API version.
    pub path: &'static str,
    pub version: ApiVersion,
    pub kind: Kind,
    /// The property that windows are cut by; for a snapshot, the state's own time.
    pub time_property: &'static str,
    pub operators: Operators,
    /// A clause that every query of the stream carries beside its window.
    pub filter: Option<&'static str>,
    /// Rows asked for in one page.
    pub page_limit: u32,
    pub bucket: Bucket,
    /// The least application permission.
    pub permission: &'static str,
    /// The licence without which Graph refuses or withholds the stream.
    pub licence: &'static str,
    /// The category under which Azure's diagnostic settings export the same records.
    pub category: &'static str,
}

const SIGN_IN: Entry = Entry {
    name: "sign_ins",
    path: "auditLogs/signIns",
    // v1.0 has no signInEventTypes and lacks most of what detection rules read. Without a clause
    // on signInEventTypes beta returns interactive sign-ins alone.
    version: ApiVersion::Beta,
    kind: Kind::Events,
    time_property: "createdDateTime",
    operators: Operators::GeLe,
    filter: None,
    page_limit: 1000,
    bucket: Bucket::Reports,
    permission: "AuditLog.Read.All",
    licence: "Entra ID P1 or P2",
    category: "SignInLogs",
};

const RISK: Entry = Entry {
    name: "risk_detections",
    path: "identityProtection/riskDetections",
    version: ApiVersion::V1,
    kind: Kind::Versions,
    time_property: "lastUpdatedDateTime",
    operators: Operators::GeLe,
    filter: None,
    // "Must be between 1 and 500 inclusive."
    page_limit: 500,
    bucket: Bucket::IdentityProtection,
    permission: "IdentityRiskEvent.Read.All",
    licence: "Entra ID P2 (P1 sees some)",
    category: "UserRiskEvents",
};

impl Stream {
    /// Every stream, in the catalogue's order.
    pub const ALL: [Self; 11] = [
        Self::DirectoryAudits,
        Self::SignIns,
        Self::SignInsNonInteractive,
        Self::SignInsServicePrincipal,
        Self::SignInsManagedIdentity,
        Self::Provisioning,
        Self::RiskDetections,
        Self::ServicePrincipalRiskDetections,
        Self::RiskyUsers,
        Self::RiskyServicePrincipals,
        Self::SecurityAlerts,
    ];

    /// The stream's line in the catalogue.
    #[must_use]
    pub const fn entry(self) -> Entry {
        match self {
            Self::DirectoryAudits => Entry {
                name: "directory_audits",
                path: "auditLogs/directoryAudits",
                version: ApiVersion::V1,
                kind: Kind::Events,
                time_property: "activityDateTime",
                operators: Operators::GeLe,
                filter: None,
                page_limit: 1000,
                bucket: Bucket::Reports,
                permission: "AuditLog.Read.All",
                licence: "any edition",
                category: "AuditLogs",
            },
            Self::SignIns => SIGN_IN,
            Self::SignInsNonInteractive => Entry {
                name: "sign_ins_non_interactive",
                filter: Some("signInEventTypes/any(t: t eq 'nonInteractiveUser')"),
                category: "NonInteractiveUserSignInLogs",
                ..SIGN_IN
            },
            Self::SignInsServicePrincipal => Entry {
                name: "sign_ins_service_principal",
                filter: Some("signInEventTypes/any(t: t eq 'servicePrincipal')"),
                category: "ServicePrincipalSignInLogs",
                ..SIGN_IN
            },
            Self::SignInsManagedIdentity => Entry {
                name: "sign_ins_managed_identity",
                filter: Some("signInEventTypes/any(t: t eq 'managedIdentity')"),
                category: "ManagedIdentitySignInLogs",
                ..SIGN_IN
            },
            Self::Provisioning => Entry {
                name: "provisioning",
                path: "auditLogs/provisioning",
                version: ApiVersion::V1,
                kind: Kind::Events,
                time_property: "activityDateTime",
                operators: Operators::GtLt,
                filter: None,
                // No document states the limit; a refusal names it and the client obeys.
                page_limit: 500,
                bucket: Bucket::Reports,
                permission: "AuditLog.Read.All",
                licence: "Entra ID P1 or P2",
                category: "ProvisioningLogs",
            },
            Self::RiskDetections => RISK,
            Self::ServicePrincipalRiskDetections => Entry {
                name: "service_principal_risk_detections",
                path: "identityProtection/servicePrincipalRiskDetections",
                licence: "Workload Identities Premium",
                category: "ServicePrincipalRiskEvents",
                ..RISK
            },
            Self::RiskyUsers => Entry {
                name: "risky_users",
                path: "identityProtection/riskyUsers",
                kind: Kind::Snapshot,
                time_property: "riskLastUpdatedDateTime",
                permission: "IdentityRiskyUser.Read.All",
                licence: "Entra ID P2",
                category: "RiskyUsers",
                ..RISK
            },
            Self::RiskyServicePrincipals => Entry {
                name: "risky_service_principals",
                path: "identityProtection/riskyServicePrincipals",
                kind: Kind::Snapshot,
                // Graph documents no other operator than `eq` here.
                time_property: "riskLastUpdatedDateTime",
                permission: "IdentityRiskyServicePrincipal.Read.All",
                licence: "Workload Identities Premium",
                category: "RiskyServicePrincipals",
                ..RISK
            },
            Self::SecurityAlerts => Entry {
                name: "security_alerts",
                path: "security/alerts_v2",
                version: ApiVersion::V1,
                kind: Kind::Versions,
                // Spelled without the "d" that identity protection has.
                time_property: "lastUpdateDateTime",
                operators: Operators::GeLe,
                filter: None,
                // No document states the limit; a refusal names it and the client obeys.
                page_limit: 1000,
                bucket: Bucket::Security,
                permission: "SecurityAlert.Read.All",
                licence: "none for the endpoint; each product's own for its alerts",
                category: "SecurityAlerts",
            },
        }
    }

    /// The stream's name in configuration, events and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// A number for keys in the state file; it never changes for a stream.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::DirectoryAudits => 1,
            Self::SignIns => 2,
            Self::SignInsNonInteractive => 3,
            Self::SignInsServicePrincipal => 4,
            Self::SignInsManagedIdentity => 5,
            Self::Provisioning => 6,
            Self::RiskDetections => 7,
            Self::ServicePrincipalRiskDetections => 8,
            Self::RiskyUsers => 9,
            Self::RiskyServicePrincipals => 10,
            Self::SecurityAlerts => 11,
        }
    }
}

impl ApiVersion {
    /// The version as it stands in a Graph URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1.0",
            Self::Beta => "beta",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no stream has.
#[derive(Debug, thiserror::Error)]
#[error("no stream is called {0:?}; known: {known}", known = Stream::ALL.map(Stream::name).join(", "))]
pub struct UnknownStream(String);

impl FromStr for Stream {
    type Err = UnknownStream;

    fn from_str(name: &str) -> Result<Self, UnknownStream> {
        Self::ALL
            .into_iter()
            .find(|stream| stream.name() == name)
            .ok_or_else(|| UnknownStream(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_reads_back_as_its_stream() {
        for stream in Stream::ALL {
            assert_eq!(stream.name().parse::<Stream>().unwrap(), stream);
            assert_eq!(serde_json::to_value(stream).unwrap(), stream.name());
        }
    }

    #[test]
    fn no_two_streams_share_a_number_a_name_or_a_query() {
        let numbers: BTreeSet<u8> = Stream::ALL.map(Stream::number).into();
        let names: BTreeSet<&str> = Stream::ALL.map(Stream::name).into();
        let queries: BTreeSet<_> = Stream::ALL
            .map(|stream| (stream.entry().path, stream.entry().filter))
            .into();
        assert_eq!((numbers.len(), names.len(), queries.len()), (11, 11, 11));
    }

    #[test]
    fn sign_ins_come_from_beta_and_everything_else_from_v1() {
        for stream in Stream::ALL {
            let expected = match stream.entry().path {
                "auditLogs/signIns" => ApiVersion::Beta,
                _ => ApiVersion::V1,
            };
            assert_eq!(stream.entry().version, expected, "{stream}");
        }
    }
}
