//! Clouds: where tokens come from, where Graph is, and so where a token may go.
//!
//! Hosts: Microsoft Graph, "National cloud deployments"; Entra, "National clouds".

use std::path::{Path, PathBuf};

use url::Url;
use uuid::Uuid;

/// The names of Microsoft's own clouds, as configured.
pub const NATIONAL: [&str; 4] = ["global", "us_gov_l4", "us_gov_l5", "china"];

/// One cloud's hosts. A token of one is worthless in another, and must never be sent there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud {
    name: String,
    authority: Url,
    graph: Url,
    ca_file: Option<PathBuf>,
}

impl Cloud {
    /// One of [`NATIONAL`]; `None` for any other name.
    #[must_use]
    pub fn national(name: &str) -> Option<Self> {
        let (authority, graph) = match name {
            "global" => (
                "https://login.microsoftonline.com",
                "https://graph.microsoft.com",
            ),
            "us_gov_l4" => (
                "https://login.microsoftonline.us",
                "https://graph.microsoft.us",
            ),
            "us_gov_l5" => (
                "https://login.microsoftonline.us",
                "https://dod-graph.microsoft.us",
            ),
            // Graph's page names the older login.chinacloudapi.cn, Entra's page this one.
            "china" => (
                "https://login.partner.microsoftonline.cn",
                "https://microsoftgraph.chinacloudapi.cn",
            ),
            _ => return None,
        };
        Some(Self {
            name: name.into(),
            authority: Url::parse(authority).ok()?,
            graph: Url::parse(graph).ok()?,
            ca_file: None,
        })
    }

    /// A cloud that the configuration describes, with the CA that its certificates come from.
    #[must_use]
    pub fn custom(authority: Url, graph: Url, ca_file: Option<PathBuf>) -> Self {
        Self {
            name: "custom".into(),
            authority,
            graph,
            ca_file,
        }
    }

    /// The cloud's name in events and messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where tokens are asked for.
    #[must_use]
    pub fn authority(&self) -> &Url {
        &self.authority
    }

    /// The root that API paths are joined to.
    #[must_use]
    pub fn graph(&self) -> &Url {
        &self.graph
    }

    /// PEM file of the CA that this cloud's certificates come from; `None` for the system's own.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// The scope of a token for Graph: everything the app was granted.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("{}/.default", self.graph.as_str().trim_end_matches('/'))
    }

    /// Where an administrator of a tenant consents to what an app asks for (Entra, "Grant
    /// tenant-wide admin consent to an application").
    #[must_use]
    pub fn consent_url(&self, tenant_id: Uuid, client_id: Uuid) -> Url {
        let mut url = self.authority.clone();
        url.set_path(&format!("{tenant_id}/adminconsent"));
        url.set_query(Some(&format!("client_id={client_id}")));
        url
    }

    /// Whether a URL is on this cloud's Graph host: scheme, host and port.
    #[must_use]
    pub fn owns(&self, url: &Url) -> bool {
        url.origin() == self.graph.origin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_the_graph_host_s_default() {
        let cloud = Cloud::national("us_gov_l5").unwrap();
        assert_eq!(cloud.scope(), "https://dod-graph.microsoft.us/.default");
    }

    #[test]
    fn a_url_of_another_host_scheme_or_port_is_foreign() {
        let cloud = Cloud::national("global").unwrap();
        let owns = |url: &str| cloud.owns(&Url::parse(url).unwrap());
        assert!(owns("https://graph.microsoft.com/beta/x?$skiptoken=1"));
        assert!(owns("https://GRAPH.microsoft.com:443/v1.0/"));
        assert!(!owns("http://graph.microsoft.com/v1.0/"));
        assert!(!owns("https://graph.microsoft.us/v1.0/"));
        assert!(!owns("https://graph.microsoft.com:8443/v1.0/"));
        assert!(!owns("https://graph.microsoft.com.example.org/"));
        assert!(!owns("https://graph.microsoft.com@example.org/"));
    }
}
