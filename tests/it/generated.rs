//! What is generated from the catalogue stands in the tree as it would be generated now.
//!
//! `WRITE_GENERATED=1 cargo test --test it -- generated rules reference` writes it.

use std::fs;

use serde_json::json;

use crate::{
    catalogue::{Catalogue, page, project, templates, vrl},
    common::mmdb,
};

/// Compares a file of the project, or writes it when asked to.
pub fn stands(path: &str, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    let whole = project().join(path);
    if std::env::var_os("WRITE_GENERATED").is_some() {
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        fs::write(&whole, text).unwrap();
        return;
    }
    let there = fs::read(&whole).unwrap_or_default();
    assert!(
        there == text,
        "{path} is not what would be generated now; \
         write it with WRITE_GENERATED=1 cargo test --test it -- generated rules reference"
    );
}

#[test]
fn the_list_of_properties_follows_the_catalogue() {
    let catalogue = Catalogue::read();
    stands("vrl/base/20_properties.vrl", vrl::properties(&catalogue));
    stands(
        "vrl/overlays/elastic/20_sign_in_properties.vrl",
        vrl::elastic_sign_in(&catalogue),
    );
}

#[test]
fn the_index_templates_follow_the_catalogue() {
    let catalogue = Catalogue::read();
    stands(
        "index-templates/component-entra-id.json",
        templates::component(&catalogue.base()),
    );
    stands(
        "index-templates/index-entra-id.json",
        templates::index(&["entra-id-*"], "entra-id", false),
    );
    stands(
        "index-templates/component-entra-id-elastic.json",
        templates::component(&catalogue.elastic_with_ecs()),
    );
    stands(
        "index-templates/index-entra-id-elastic.json",
        templates::index(
            &[
                "logs-azure.signinlogs-*",
                "logs-azure.auditlogs-*",
                "logs-azure.identity_protection-*",
            ],
            "entra-id-elastic",
            true,
        ),
    );
}

#[test]
fn the_page_of_fields_follows_the_catalogue() {
    stands("docs/fields.md", page::fields(&Catalogue::read()));
}

#[test]
fn the_tables_of_addresses_for_the_tests_of_enrichment_are_these() {
    let city = json!({
        "city": {"names": {"en": "Seattle"}},
        "continent": {"code": "NA"},
        "country": {"iso_code": "US", "names": {"en": "United States", "de": "USA"}},
        "location": {"latitude": 47.5, "longitude": -122.25, "time_zone": "America/Los_Angeles"},
        "postal": {"code": "98101"},
        "subdivisions": [{"iso_code": "WA", "names": {"en": "Washington"}}],
    });
    let network = json!({
        "autonomous_system_number": 64500,
        "autonomous_system_organization": "Example Networks",
    });
    stands(
        "tests/vrl/tables/geoip_city.mmdb",
        mmdb::database(
            "GeoLite2-City",
            &[("203.0.113.0/26", city.clone()), ("2001:db8:5::/48", city)],
        ),
    );
    stands(
        "tests/vrl/tables/geoip_asn.mmdb",
        mmdb::database("GeoLite2-ASN", &[("203.0.113.0/26", network)]),
    );
}
