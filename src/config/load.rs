//! From a file to a checked [`Config`].

use std::{path::Path, time::Duration};

use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::{
    Config, Faults, Http, Outlet, Tenant,
    document::{self, Document},
    faults,
};
use crate::{
    graph::{Cloud, NATIONAL, SecretSource},
    stream::Stream,
};

/// The notation of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Toml,
    Json,
}

impl Format {
    /// By the file's extension; YAML where it says nothing.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            Some("json") => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// All its faults at once, each with its place and what to do.
pub fn load(path: &Path) -> Result<Config, Faults> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let mut faults = Faults {
            file: file.clone(),
            ..Faults::default()
        };
        faults.add("", format!("cannot be read: {error}"));
        faults
    })?;
    parse(&file, &text, Format::of(path))
}

/// As [`load`], from text; `file` is the name used in messages.
///
/// # Errors
/// As [`load`].
pub fn parse(file: &str, text: &str, format: Format) -> Result<Config, Faults> {
    let mut faults = Faults {
        file: file.to_owned(),
        ..Faults::default()
    };
    let document: Document = match tree(text, format) {
        Ok(Value::Null) => Document::default(),
        Ok(tree) => faults::deserialize(tree, &mut faults),
        Err(reason) => {
            faults.add("", reason);
            return Err(faults);
        }
    };
    let config = check(document, &mut faults);
    match config {
        Some(config) if faults.list.is_empty() => Ok(config),
        _ => Err(faults),
    }
}

fn tree(text: &str, format: Format) -> Result<Value, String> {
    match format {
        Format::Yaml => serde_saphyr::from_str(text)
            .map_err(|error| format!("is not valid YAML: {}", first_line(&error.to_string()))),
        // Its full text repeats the line, which may hold what is not to be shown.
        Format::Toml => toml::from_str(text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = 1 + before.unwrap_or_default().matches('\n').count();
            format!("is not valid TOML: line {line}: {}", error.message())
        }),
        Format::Json => {
            serde_json::from_str(text).map_err(|error| format!("is not valid JSON: {error}"))
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

fn check(document: Document, faults: &mut Faults) -> Option<Config> {
    let state_dir = required(
        document.state_dir,
        "state_dir",
        "name a directory for the state, such as /var/lib/vector-entra-id",
        faults,
    );
    let tenants = tenants(document.tenants, faults);
    let outlet = outlet(document.outlet, faults);
    check_collect(&document.collect, faults);
    Some(Config {
        state_dir: state_dir?,
        tenants,
        outlet: outlet?,
        collect: document.collect,
        log: document.log,
    })
}

fn required<T>(value: Option<T>, place: &str, remedy: &str, faults: &mut Faults) -> Option<T> {
    if value.is_none() && !faults.within(place) {
        faults.add(place, format!("is missing; {remedy}"));
    }
    value
}

fn tenants(tenants: Option<Vec<document::Tenant>>, faults: &mut Faults) -> Vec<Tenant> {
    let tenants = required(tenants, "tenants", "list at least one tenant", faults);
    let Some(tenants) = tenants else {
        return Vec::new();
    };
    if tenants.is_empty() && !faults.within("tenants") {
        faults.add("tenants", "is empty; list at least one tenant");
    }
    let checked: Vec<Tenant> = tenants
        .into_iter()
        .enumerate()
        .filter_map(|(index, tenant)| check_tenant(tenant, &format!("tenants[{index}]"), faults))
        .collect();
    for (index, tenant) in checked.iter().enumerate() {
        if checked[..index]
            .iter()
            .any(|earlier| earlier.tenant_id == tenant.tenant_id)
        {
            faults.add(
                format!("tenants[{index}].tenant_id"),
                "stands twice; list each tenant once",
            );
        }
    }
    checked
}

fn check_tenant(tenant: document::Tenant, place: &str, faults: &mut Faults) -> Option<Tenant> {
    let at = |key: &str| format!("{place}.{key}");
    let tenant_id = required(
        tenant.tenant_id,
        &at("tenant_id"),
        "give the tenant's GUID (Entra admin center, Overview, Tenant ID)",
        faults,
    )
    .and_then(|text| guid(&text, &at("tenant_id"), faults));
    let client_id = required(
        tenant.client_id,
        &at("client_id"),
        "give the app registration's application (client) ID",
        faults,
    )
    .and_then(|text| guid(&text, &at("client_id"), faults));
    let client_secret = required(
        tenant.client_secret,
        &at("client_secret"),
        "name where the secret is: `env: NAME` or `file: PATH`",
        faults,
    )
    .and_then(|source| secret(source, &at("client_secret"), faults));
    let cloud = cloud(tenant.cloud, tenant.custom_cloud, place, faults);
    let streams = streams(tenant.streams, &at("streams"), faults);
    Some(Tenant {
        tenant_id: tenant_id?,
        client_id: client_id?,
        client_secret: client_secret?,
        cloud: cloud?,
        streams,
    })
}

fn guid(text: &str, place: &str, faults: &mut Faults) -> Option<Uuid> {
    let parsed = Uuid::try_parse(text).ok();
    if parsed.is_none() {
        faults.add(
            place,
            format!("{text:?} is not a GUID; it looks like 00000000-0000-0000-0000-000000000000"),
        );
    }
    parsed
}

fn secret(source: SecretSource, place: &str, faults: &mut Faults) -> Option<SecretSource> {
    match source.read() {
        Ok(_) => Some(source),
        Err(error) => {
            if !faults.within(place) {
                faults.add(place, error);
            }
            None
        }
    }
}

fn cloud(
    name: Option<String>,
    custom: Option<document::CustomCloud>,
    place: &str,
    faults: &mut Faults,
) -> Option<Cloud> {
    let at = |key: &str| format!("{place}.{key}");
    match (name, custom) {
        (Some(_), Some(_)) => {
            faults.add(
                at("cloud"),
                "stands beside custom_cloud; keep one of the two",
            );
            None
        }
        (name, None) => {
            let name = name.as_deref().unwrap_or("global");
            let cloud = Cloud::national(name);
            if cloud.is_none() {
                faults.add(
                    at("cloud"),
                    format!(
                        "{name:?} is no cloud; known: {}; for any other use custom_cloud",
                        NATIONAL.join(", ")
                    ),
                );
            }
            cloud
        }
        (None, Some(custom)) => {
            let place = at("custom_cloud");
            let authority = custom_url(
                custom.authority_url,
                &format!("{place}.authority_url"),
                faults,
            );
            let graph = custom_url(custom.graph_url, &format!("{place}.graph_url"), faults);
            if let Some(path) = &custom.ca_file
                && let Err(error) = std::fs::File::open(path)
            {
                faults.add(
                    format!("{place}.ca_file"),
                    format!("cannot read {}: {error}", path.display()),
                );
            }
            Some(Cloud::custom(authority?, graph?, custom.ca_file))
        }
    }
}

fn custom_url(text: Option<String>, place: &str, faults: &mut Faults) -> Option<Url> {
    let text = required(text, place, "give a URL such as https://host", faults)?;
    match Url::parse(&text) {
        Ok(url) if url.scheme() == "https" && url.host().is_some() => Some(url),
        Ok(_) => {
            // A token is a key to the tenant's logs.
            faults.add(place, format!("{text:?} must begin with https://"));
            None
        }
        Err(error) => {
            faults.add(place, format!("{text:?} is not a URL: {error}"));
            None
        }
    }
}

fn streams(names: Option<Vec<Value>>, place: &str, faults: &mut Faults) -> Vec<Stream> {
    let Some(names) = names else {
        return Stream::ALL.into();
    };
    if names.is_empty() {
        faults.add(place, "is empty; leave it out to collect all, or name some");
    }
    let known = Stream::ALL.map(Stream::name);
    let mut chosen = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let place = format!("{place}[{index}]");
        let Some(name) = name.as_str() else {
            faults.add(
                place,
                format!("{name} is no stream; known: {}", known.join(", ")),
            );
            continue;
        };
        match name.parse::<Stream>() {
            Ok(stream) if chosen.contains(&stream) => {
                faults.add(place, format!("{name} stands twice; list each stream once"));
            }
            Ok(stream) => chosen.push(stream),
            Err(_) => {
                let hint = faults::nearest(name, &known)
                    .map(|name| format!("did you mean {name}? "))
                    .unwrap_or_default();
                faults.add(
                    place,
                    format!("{name:?} is no stream; {hint}known: {}", known.join(", ")),
                );
            }
        }
    }
    chosen.sort();
    chosen
}

fn outlet(outlet: Option<document::Outlet>, faults: &mut Faults) -> Option<Outlet> {
    let outlet = required(
        outlet,
        "outlet",
        "set `http: {url: ...}` for Vector's http_server source or `stdout: {}` for its exec source",
        faults,
    )?;
    match (outlet.stdout, outlet.http) {
        (Some(_), None) => Some(Outlet::Stdout),
        (None, Some(http)) => Some(Outlet::Http(check_http(http, faults)?)),
        _ => {
            if !faults.within("outlet") {
                faults.add("outlet", "choose one: `http: {url: ...}` or `stdout: {}`");
            }
            None
        }
    }
}

fn check_http(http: document::Http, faults: &mut Faults) -> Option<Http> {
    const PLACE: &str = "outlet.http.url";
    let timeout = http.reply_timeout_secs.unwrap_or(15 * 60);
    if timeout == 0 {
        faults.add(
            "outlet.http.reply_timeout_secs",
            "must be 1 or more seconds",
        );
    }
    let text = required(
        http.url,
        PLACE,
        "give the address of Vector's http_server source, such as http://127.0.0.1:8080/",
        faults,
    )?;
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => {
            faults.add(PLACE, format!("{text:?} is not a URL: {error}"));
            return None;
        }
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            faults.add(
                PLACE,
                "plain http is for this machine alone (127.0.0.1, [::1], localhost); use https",
            );
            return None;
        }
        other => {
            faults.add(
                PLACE,
                format!("{other:?} is no scheme for delivery; use http or https"),
            );
            return None;
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        faults.add(PLACE, "must not hold a user or password");
        return None;
    }
    Some(Http {
        url,
        compression: http.compression,
        reply_timeout: Duration::from_secs(timeout.into()),
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn check_collect(collect: &super::Collect, faults: &mut Faults) {
    const DAY: u32 = 24 * 60 * 60;
    if collect.start_secs > 30 * DAY {
        faults.add(
            "collect.start_secs",
            "Graph keeps 30 days at most; use 2592000 or less",
        );
    }
    if collect.slot_secs.get() > DAY {
        faults.add("collect.slot_secs", "must be 86400 (a day) or less");
    }
    let ages = &collect.reread_ages_secs;
    if ages.is_empty() {
        faults.add(
            "collect.reread_ages_secs",
            "is empty; records appear late, so name at least one age",
        );
    }
    if !ages.is_sorted_by(|a, b| a < b) {
        faults.add(
            "collect.reread_ages_secs",
            "must rise from each age to the next",
        );
    }
    if collect.idle_poll_secs < collect.poll_secs {
        faults.add(
            "collect.idle_poll_secs",
            format!("must be at least poll_secs, which is {}", collect.poll_secs),
        );
    }
    if collect.overlap_secs > collect.slot_secs.get().saturating_mul(2) {
        faults.add(
            "collect.overlap_secs",
            "must be at most two slots (2 x slot_secs); older time is read again by its ages",
        );
    }
    if collect.memory_bytes.get() < 1 << 20 {
        faults.add("collect.memory_bytes", "must be at least 1048576 (1 MiB)");
    }
    let limits = &collect.limits;
    for (name, limit) in [
        ("reports", limits.reports),
        ("identity_protection", limits.identity_protection),
        ("security", limits.security),
    ] {
        if limit.requests.get() > 1000 {
            faults.add(
                format!("collect.limits.{name}.requests"),
                "must be 1000 or less",
            );
        }
    }
}
