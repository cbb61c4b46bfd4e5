//! Checks the tenants of a configuration: ids, cloud, streams.

use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::{Faults, Tenant, credential, document, faults, load::required};
use crate::{
    graph::{Cloud, NATIONAL, Route},
    stream::Stream,
};

/// Checks every tenant, and that none stands twice.
pub(super) fn check(tenants: Option<Vec<document::Tenant>>, faults: &mut Faults) -> Vec<Tenant> {
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

fn check_tenant(mut tenant: document::Tenant, place: &str, faults: &mut Faults) -> Option<Tenant> {
    let at = |key: &str| format!("{place}.{key}");
    let tenant_id = required(
        tenant.tenant_id.take(),
        &at("tenant_id"),
        "give the tenant's GUID (Entra admin center, Overview, Tenant ID)",
        faults,
    )
    .and_then(|text| guid(&text, &at("tenant_id"), faults));
    let credential = credential::check(&mut tenant, place, faults);
    let cloud = cloud(tenant.cloud, tenant.custom_cloud, place, faults);
    let streams = streams(tenant.streams, &at("streams"), faults);
    Some(Tenant {
        tenant_id: tenant_id?,
        credential: credential?,
        cloud: cloud?,
        streams,
    })
}

pub(super) fn guid(text: &str, place: &str, faults: &mut Faults) -> Option<Uuid> {
    let parsed = Uuid::try_parse(text).ok();
    if parsed.is_none() {
        // What stands in an app's place may be its secret.
        let what = match place.ends_with(".tenant_id") {
            true => format!("{text:?} is not a GUID"),
            false => "is not a GUID".to_owned(),
        };
        faults.add(
            place,
            format!("{what}; it looks like 00000000-0000-0000-0000-000000000000"),
        );
    }
    parsed
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
            let route = Route {
                ca_file: custom.ca_file.clone(),
                ..Route::default()
            };
            if let Err(error) = route.check() {
                faults.add(format!("{place}.ca_file"), error);
            }
            Some(Cloud::custom(authority?, graph?, custom.ca_file))
        }
    }
}

fn custom_url(text: Option<String>, place: &str, faults: &mut Faults) -> Option<Url> {
    let text = required(text, place, "give a URL such as https://host", faults)?;
    match Url::parse(&text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            faults.add(place, "must not hold a user or password");
            None
        }
        Ok(url) if url.query().is_some() => {
            faults.add(place, "must not hold a query");
            None
        }
        Ok(url) if url.scheme() == "https" && url.host().is_some() => Some(url),
        Ok(_) => {
            // A token is a key to the tenant's logs.
            faults.add(place, "must begin with https://");
            None
        }
        Err(error) => {
            // It is not repeated: a URL can hold a password.
            faults.add(place, format!("is not a URL: {error}"));
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
