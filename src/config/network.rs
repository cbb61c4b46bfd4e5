//! Checks the way to the token endpoint and Graph: a proxy, a CA of one's own.

use url::Url;

use super::{Faults, document, load::required};
use crate::graph::{Proxy, Route};

/// The way that all tenants share; the system's own roots stay trusted.
pub(super) fn check(network: document::Network, faults: &mut Faults) -> Route {
    let proxy = match network.proxy {
        None => Proxy::OfEnvironment,
        Some(proxy) => check_proxy(proxy, faults).unwrap_or_default(),
    };
    let route = Route {
        ca_file: network.ca_file,
        system_roots_too: true,
        client_certificate: None,
        proxy,
    };
    if let Err(error) = route.check() {
        faults.add("network.ca_file", error);
    }
    route
}

fn check_proxy(proxy: document::Proxy, faults: &mut Faults) -> Option<Proxy> {
    const PLACE: &str = "network.proxy.url";
    let text = required(
        proxy.url,
        PLACE,
        "give the proxy's address, such as http://proxy.example:3128",
        faults,
    );
    let url = text.and_then(|text| match Url::parse(&text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
            faults.add(PLACE, "must begin with http:// or https://");
            None
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            faults.add(
                PLACE,
                "must not hold a user or password; set `user` and `password` beside it",
            );
            None
        }
        Ok(url) => Some(url),
        Err(error) => {
            // It is not repeated: a URL can hold a password.
            faults.add(PLACE, format!("is not a URL: {error}"));
            None
        }
    });
    let auth = match (proxy.user, proxy.password) {
        (None, None) => None,
        (Some(user), Some(password)) => match password.read() {
            Ok(_) => Some((user, password)),
            Err(error) => {
                faults.add("network.proxy.password", error);
                None
            }
        },
        (Some(_), None) => {
            faults.add(
                "network.proxy.password",
                "is missing; name where the password is: `env: NAME` or `file: PATH`",
            );
            None
        }
        (None, Some(_)) => {
            faults.add("network.proxy.user", "is missing beside password");
            None
        }
    };
    Some(Proxy::Named { url: url?, auth })
}
