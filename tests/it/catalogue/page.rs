//! The page of the docs that lists every field.

use std::fmt::Write;

use super::{Catalogue, Field, vrl};

const HEAD: &str = "\
# Fields

What the mapping writes, with the type that each field has for all time. Generated from
`vrl/catalogue.yaml`; the index templates in `index-templates/` come from the same list. Types: `keyword`
(text, searched as a whole up to 1024 characters), `long_text` (the same up to 8191), `text` (words are
searched), `keywords`, `ips` (lists), `objects` (list of objects, `flattened`, each value up to 1024), and
Elasticsearch's own. What is longer is stored and not searchable.
";

/// `docs/fields.md`.
pub fn fields(catalogue: &Catalogue) -> String {
    let mut page = HEAD.to_string();
    page.push_str("\n## Base and enrichment\n\n");
    table(&mut page, &catalogue.fields);
    page.push_str(
        "\n## azure.entraid.properties\n\nGraph's own names and values. The last column is the \
         name below `azure.signinlogs.properties` in overlay `elastic`.\n\n\
         | property | type | in records of | beta only | elastic |\n|---|---|---|---|---|\n",
    );
    for property in &catalogue.properties {
        let kinds: Vec<&str> = property.of.iter().map(|kind| kind.name()).collect();
        let elastic = if kinds.contains(&"sign_in") {
            format!("`{}`", vrl::elastic_name(&property.name))
        } else {
            String::new()
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {elastic} |",
            property.name,
            property.sort.name(),
            kinds.join(", "),
            if property.beta { "yes" } else { "" },
        );
    }
    page.push_str(
        "\n## Overlay elastic\n\nBeside the ECS fields of base and the properties above. A `*` stands \
         for any number; the index template has the targets 0 to 4 with the properties 0 to 15, \
         what comes after is stored and not searchable.\n\n",
    );
    table(&mut page, &catalogue.elastic);
    page
}

fn table(page: &mut String, fields: &[Field]) {
    page.push_str("| field | type | from |\n|---|---|---|\n");
    for field in fields {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            field.name,
            field.sort.name(),
            field.from
        );
    }
}
