//! Sigma's field names and ours.

use std::{fmt::Write, fs};

use serde::Deserialize;

use crate::{
    catalogue::{Catalogue, Type, project},
    generated::stands,
};

/// `sigma.yaml`: the fields by Sigma's service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Services {
    signinlogs: Vec<Field>,
    auditlogs: Vec<Field>,
    riskdetection: Vec<Field>,
    pim: Vec<Field>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    /// The spellings of one thing.
    sigma: Vec<String>,
    rules: u32,
    base: Vec<String>,
    elastic: Vec<String>,
    value: Option<String>,
}

const HEAD: &str = "\
# Sigma

Sigma has rules for Entra ID and no fields of its own for it: its rules use names of the
portal, of Log Analytics and of Event Hubs side by side. These tables say where the
documents have what a rule means, for a pySigma pipeline or a rule that is rewritten by
hand. Read from SigmaHQ/sigma at 8eaafff (2026-08-05), `rules/cloud/azure`; 0 rules: in
`rules-placeholder`, or in pull requests 5992 and 5993, which were open then. A test
checks that each field is in the mapping's catalogue. The rules themselves were not run.

Sigma compares without regard to case, `keyword` fields with it. An empty text is left out
of a document, so a condition on `''` is one on an absent field.

| service | base | overlay `elastic` |
|---|---|---|
| signinlogs | `event.dataset: (SignInLogs OR NonInteractiveUserSignInLogs)` | `data_stream.dataset: azure.signinlogs` |
| auditlogs | `azure.entraid.stream: directory_audits` | `data_stream.dataset: azure.auditlogs` |
| riskdetection | `event.dataset: (UserRiskEvents OR ServicePrincipalRiskEvents)` | `data_stream.dataset: azure.identity_protection` |
| pim | no log | no log |
";

const TEXTS: &str = "
## Texts of auditlogs that are not Graph's

As Microsoft's list of audit activities (MicrosoftDocs/entra-docs, reference-audit-activities,
092dd5c) and published records write them; not verified on a live tenant.

| Sigma | Graph's activityDisplayName |
|---|---|
| Update Application; Update Service principal | Update application; Update service principal |
| Disable PIM Alert | Disable PIM alert |
| Update application – Certificates and secrets management | the same with a space at the end: compare the beginning |
| Add member from group | Add member to group |
| Request Approved, Request Denied | Add member to role request approved (PIM activation), ... denied ... |
| Add eligible member (permanent), (eligible) | Add eligible member to role in PIM completed (permanent), (timebound) |
| Remove eligible member (permanent), (eligible) | Remove eligible member from role in PIM completed (permanent), (timebound) |
| Assigns the caller to user access admin | User has elevated their access to User Access Administrator for their Azure Resources |
| Password reset | Reset password (self-service), Reset password (by admin), Reset user password |
| a piece of JSON about UserType | the change of the property UserType: azure.entraid.changes |
";

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join("<br>")
}

#[test]
fn every_field_that_stands_for_one_of_sigma_s_is_in_the_catalogue() {
    let text = fs::read_to_string(project().join("tests/it/rules/sigma.yaml")).unwrap();
    let services: Services = serde_saphyr::from_str(&text).unwrap();
    let catalogue = Catalogue::read();
    let base = catalogue.base();
    let elastic = catalogue.elastic_with_ecs();
    let mut page = HEAD.to_string();
    for (name, fields) in [
        ("signinlogs", services.signinlogs),
        ("auditlogs", services.auditlogs),
        ("riskdetection", services.riskdetection),
        ("pim", services.pim),
    ] {
        let _ = write!(
            page,
            "\n## {name}\n\n| Sigma | rules | base | overlay `elastic` | values |\n\
             |---|--:|---|---|---|\n"
        );
        for field in fields {
            known(&field.base, &base);
            known(&field.elastic, &elastic);
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} |",
                list(&field.sigma),
                field.rules,
                list(&field.base),
                list(&field.elastic),
                field.value.unwrap_or_default()
            );
        }
    }
    page.push_str(TEXTS);
    stands("docs/sigma.md", page);
}

fn known(names: &[String], catalogue: &[(String, Type)]) {
    for name in names {
        assert!(
            catalogue.iter().any(|(there, _)| there == name),
            "{name} is not in the catalogue"
        );
    }
}
