//! From a tenant's configuration to a client of its Graph.

use std::{sync::Arc, time::Duration};

use crate::{
    config::{Config, Tenant},
    graph::{Client, ClientError, Credential, Network, Proxy, Route, Tokens},
};

/// A client that proves itself and goes the way that the configuration says.
///
/// # Errors
/// [`ClientError`] when a file of the way cannot be used.
pub fn client(tenant: &Tenant, config: &Config) -> Result<Client, ClientError> {
    let timeout = Duration::from_secs(config.collect.request_timeout_secs.get().into());
    let network = Network::new(&config.route_to(&tenant.cloud), timeout)?;
    let to_tokens = match tenant.credential {
        Credential::App { .. } => Arc::clone(&network),
        // The identity endpoint is on this machine's own link (Entra, "How to use managed
        // identities on an Azure VM"): no proxy.
        Credential::ManagedIdentity { .. } => {
            let route = Route {
                proxy: Proxy::Direct,
                ..Route::default()
            };
            Network::new(&route, timeout)?
        }
    };
    let tokens = Tokens::new(
        tenant.tenant_id,
        tenant.credential.clone(),
        tenant.cloud.clone(),
        to_tokens,
    );
    Ok(Client::new(tenant.cloud.clone(), tokens, network))
}
