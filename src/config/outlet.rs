//! Checks where batches go: standard output, or Vector's `http_server` source and how it is
//! reached.

use std::time::Duration;

use url::Url;

use super::{BasicAuth, Faults, Http, Outlet, Stdout, document, load::required};
use crate::graph::{ClientCertificate, Proxy, Route};

/// Checks the one outlet that is named.
pub(super) fn check(outlet: Option<document::Outlet>, faults: &mut Faults) -> Option<Outlet> {
    let outlet = required(
        outlet,
        "outlet",
        "set `http: {url: ...}` for Vector's http_server source or `stdout: {}` for its exec source",
        faults,
    )?;
    match (outlet.stdout, outlet.http) {
        (Some(stdout), None) => Some(Outlet::Stdout(Stdout {
            replay_records: stdout.replay_records.unwrap_or(20_000),
        })),
        (None, Some(http)) => Some(Outlet::Http(Box::new(check_http(http, faults)?))),
        _ => {
            if !faults.within("outlet") {
                faults.add("outlet", "choose one: `http: {url: ...}` or `stdout: {}`");
            }
            None
        }
    }
}

fn check_http(http: document::Http, faults: &mut Faults) -> Option<Http> {
    let timeout = seconds(
        http.reply_timeout_secs,
        15 * 60,
        "reply_timeout_secs",
        faults,
    );
    let dead_letter_after = seconds(
        http.dead_letter_after_secs,
        5 * 60,
        "dead_letter_after_secs",
        faults,
    );
    let auth = http.auth.and_then(|auth| check_auth(auth, faults));
    let url = required(
        http.url,
        "outlet.http.url",
        "give the address of Vector's http_server source, such as http://127.0.0.1:8080/",
        faults,
    );
    let url = url.and_then(|text| check_url(&text, faults));
    let route = check_route(http.tls, url.as_ref(), faults);
    Some(Http {
        url: url?,
        compression: http.compression,
        reply_timeout: timeout,
        dead_letter_after,
        auth,
        route,
    })
}

fn seconds(value: Option<u32>, default: u32, key: &str, faults: &mut Faults) -> Duration {
    let value = value.unwrap_or(default);
    if value == 0 {
        faults.add(format!("outlet.http.{key}"), "must be 1 or more seconds");
    }
    Duration::from_secs(value.into())
}

fn check_url(text: &str, faults: &mut Faults) -> Option<Url> {
    const PLACE: &str = "outlet.http.url";
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            // It is not repeated: a URL can hold a password.
            faults.add(PLACE, format!("is not a URL: {error}"));
            return None;
        }
    };
    let fault = match url.scheme() {
        "https" => None,
        "http" if is_loopback(&url) => None,
        "http" => Some(
            "plain http is for this machine alone (127.0.0.1, [::1], localhost); use https".into(),
        ),
        other => Some(format!(
            "{other:?} is no scheme for delivery; use http or https"
        )),
    };
    if let Some(fault) = fault {
        faults.add(PLACE, fault);
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        faults.add(
            PLACE,
            "must not hold a user or password; set outlet.http.auth instead",
        );
        return None;
    }
    Some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn check_auth(auth: document::BasicAuth, faults: &mut Faults) -> Option<BasicAuth> {
    const PLACE: &str = "outlet.http.auth";
    let user = required(
        auth.user,
        &format!("{PLACE}.user"),
        "give the `username` of the source's `auth`",
        faults,
    );
    // It ends at the first colon on its way (RFC 7617).
    let is_sound = |user: &String| !user.is_empty() && !user.contains(':');
    if !user.as_ref().is_none_or(is_sound) {
        faults.add(
            format!("{PLACE}.user"),
            "must be a name, and without a colon",
        );
    }
    let place = format!("{PLACE}.password");
    let password = required(
        auth.password,
        &place,
        "name where the password is: `env: NAME` or `file: PATH`",
        faults,
    );
    if let Some(Err(error)) = password.as_ref().map(|password| password.read()) {
        faults.add(place, error);
    }
    Some(BasicAuth {
        user: user?,
        password: password?,
    })
}

fn check_route(tls: Option<document::Tls>, url: Option<&Url>, faults: &mut Faults) -> Route {
    const PLACE: &str = "outlet.http.tls";
    let plain = url.is_some_and(|url| url.scheme() == "http");
    let proxy = if plain {
        Proxy::Direct
    } else {
        Proxy::OfEnvironment
    };
    let Some(tls) = tls else {
        return Route {
            proxy,
            ..Route::default()
        };
    };
    if plain {
        faults.add(PLACE, "is of no use with a plain http URL; use https");
    }
    let client_certificate = match (tls.cert_file, tls.key_file) {
        (Some(cert_file), Some(key_file)) => Some(ClientCertificate {
            cert_file,
            key_file,
        }),
        (None, None) => None,
        (Some(_), None) => {
            faults.add(
                format!("{PLACE}.key_file"),
                "is missing; name the PEM file of the key that belongs to cert_file",
            );
            None
        }
        (None, Some(_)) => {
            faults.add(
                format!("{PLACE}.cert_file"),
                "is missing; name the PEM file of the certificate that key_file belongs to",
            );
            None
        }
    };
    let route = Route {
        ca_file: tls.ca_file,
        system_roots_too: false,
        client_certificate,
        proxy,
    };
    if let Err(error) = route.check() {
        faults.add(PLACE, error);
    }
    route
}
