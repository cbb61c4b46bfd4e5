//! What is generated from the catalogue stands in the tree as it would be generated now.
//!
//! `WRITE_GENERATED=1 cargo test --test it generated` writes it.

use std::fs;

use crate::catalogue::{Catalogue, project, vrl};

/// Compares a file of the project, or writes it when asked to.
pub fn stands(path: &str, text: &str) {
    let whole = project().join(path);
    if std::env::var_os("WRITE_GENERATED").is_some() {
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        fs::write(&whole, text).unwrap();
        return;
    }
    let there = fs::read_to_string(&whole).unwrap_or_default();
    assert!(
        there == text,
        "{path} is not what would be generated now; \
         write it with WRITE_GENERATED=1 cargo test --test it generated"
    );
}

#[test]
fn the_list_of_properties_follows_the_catalogue() {
    let catalogue = Catalogue::read();
    stands("vrl/base/20_properties.vrl", &vrl::properties(&catalogue));
    stands(
        "vrl/overlays/elastic/20_sign_in_properties.vrl",
        &vrl::elastic_sign_in(&catalogue),
    );
}
