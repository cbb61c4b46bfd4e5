//! What Graph changes in a record after the fact.
//!
//! A sign-in's authentication details fill in while its log is aggregated (Entra, "Sign-in log
//! activity details": at first the primary authentication row is missing and "satisfied by claim
//! in the token" is shown by mistake), and its risk is computed and dealt with later. A detection
//! or a risky identity is remediated, dismissed or confirmed, an alert is taken up and closed, and
//! their last-updated time moves. Every revision differs from the text it was made of.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fastrand::Rng;
use serde_json::{Value, json, value::RawValue};

use super::{cast, times};
use crate::stream::Stream;

/// riskState with the riskDetail that explains it.
type Outcome = (&'static str, &'static str);

const OF_A_USER: [Outcome; 5] = [
    ("remediated", "userPassedMFADrivenByRiskBasedPolicy"),
    ("remediated", "userPerformedSecuredPasswordChange"),
    ("dismissed", "adminDismissedAllRiskForUser"),
    ("confirmedSafe", "aiConfirmedSigninSafe"),
    ("confirmedCompromised", "adminConfirmedUserCompromised"),
];

const OF_A_PRINCIPAL: [Outcome; 3] = [
    ("dismissed", "adminDismissedAllRiskForServicePrincipal"),
    (
        "confirmedCompromised",
        "adminConfirmedServicePrincipalCompromised",
    ),
    ("remediated", "none"),
];

/// What Graph makes of `text`, a record of `stream`, at `at`: a sign-in completed or assessed, a
/// risk settled, an alert handled; its last-updated time moves to `at` where the stream has one.
///
/// The id stays, and so does every byte of the values that the revision does not concern. None for a stream
/// that Graph does not revise, and for what is no record.
pub fn revise(rng: &mut Rng, stream: Stream, text: &str, at: DateTime<Utc>) -> Option<String> {
    let mut record = Record::parse(text)?;
    match stream {
        Stream::DirectoryAudits | Stream::Provisioning => return None,
        Stream::SignIns => {
            if !complete(&mut record) {
                assess(rng, &mut record);
            }
        }
        Stream::SignInsNonInteractive => assess(rng, &mut record),
        Stream::SignInsServicePrincipal | Stream::SignInsManagedIdentity => {
            measure(rng, &mut record);
        }
        Stream::RiskDetections => {
            settle(rng, &mut record, &OF_A_USER);
            name_technique(&mut record);
            record.set("lastUpdatedDateTime", times::seven_digits(at, rng));
        }
        Stream::ServicePrincipalRiskDetections => {
            settle(rng, &mut record, &OF_A_PRINCIPAL);
            record.set("lastUpdatedDateTime", times::seven_digits(at, rng));
        }
        Stream::RiskyUsers => {
            settle(rng, &mut record, &OF_A_USER);
            weigh(&mut record);
            record.set("riskLastUpdatedDateTime", times::seven_digits(at, rng));
        }
        Stream::RiskyServicePrincipals => {
            settle(rng, &mut record, &OF_A_PRINCIPAL);
            weigh(&mut record);
            record.set("riskLastUpdatedDateTime", times::seven_digits(at, rng));
        }
        Stream::SecurityAlerts => {
            handle(rng, &mut record, at);
            record.set("lastUpdateDateTime", times::three_hundredths(at, rng));
        }
    }
    Some(record.into_text())
}

/// A record's properties in their order, each with its value's text. Values that stay are never
/// parsed and written again: that would round coordinates, which carry up to 17 digits.
struct Record(Vec<(String, String)>);

impl Record {
    fn parse(text: &str) -> Option<Self> {
        let properties: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
        let mut properties: Vec<_> = properties.into_iter().collect();
        // The values are borrowed from the text, so their addresses follow its order.
        properties.sort_by_key(|(_, value)| value.get().as_ptr());
        let owned = properties
            .into_iter()
            .map(|(name, value)| (name, value.get().to_owned()));
        Some(Self(owned.collect()))
    }

    fn into_text(self) -> String {
        let properties: Vec<String> = self
            .0
            .into_iter()
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        format!("{{{}}}", properties.join(","))
    }

    fn get(&self, name: &str) -> Value {
        let property = self.0.iter().find(|(known, _)| known == name);
        property
            .and_then(|(_, value)| serde_json::from_str(value).ok())
            .unwrap_or_default()
    }

    fn text(&self, name: &str) -> String {
        self.get(name).as_str().unwrap_or_default().to_owned()
    }

    /// Changes a property where it stands. A record that has none of that name stays without.
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        if let Some((_, place)) = self.0.iter_mut().find(|(known, _)| known == name) {
            *place = value.into().to_string();
        }
    }
}

/// Adds the primary authentication that a fresh interactive sign-in lacks and corrects how its
/// second factor was met. False when there was nothing to add.
fn complete(record: &mut Record) -> bool {
    let mut details = record.get("authenticationDetails");
    let primary = |step: &Value| step["authenticationStepRequirement"] == "Primary authentication";
    let steps = match details.as_array_mut() {
        Some(steps) if !steps.is_empty() && !steps.iter().any(primary) => steps,
        _ => return false,
    };
    for step in steps.iter_mut().filter(|step| step.is_object()) {
        step["authenticationMethod"] = "Mobile app notification".into();
        step["authenticationMethodDetail"] = "Microsoft Authenticator".into();
        step["authenticationStepResultDetail"] = "MFA completed in Azure AD".into();
        step["authenticationStepRequirement"] = "Multifactor authentication".into();
    }
    let password = json!({
        "authenticationStepDateTime": record.get("createdDateTime"),
        "authenticationMethod": "Password",
        "authenticationMethodDetail": "Password Hash Sync",
        "succeeded": true,
        "authenticationStepResultDetail": "Correct password",
        "authenticationStepRequirement": "Primary authentication",
    });
    steps.insert(0, password);
    record.set("authenticationDetails", details);
    record.set(
        "authenticationMethodsUsed",
        json!(["Password", "Mobile app notification"]),
    );
    record.set(
        "mfaDetail",
        json!({"authMethod": "Mobile app notification", "authDetail": null}),
    );
    let mut status = record.get("status");
    if status.is_object() {
        status["additionalDetails"] = "MFA completed in Azure AD".into();
        record.set("status", status);
    }
    true
}

/// Finds risk offline in a user's sign-in, or deals with the risk that was found.
fn assess(rng: &mut Rng, record: &mut Record) {
    if record.text("riskState") != "none" {
        settle(rng, record, &OF_A_USER);
        return;
    }
    let level = *cast::at(&["low", "medium", "high"], rng.u64(..));
    let kind = *cast::at(
        &["unlikelyTravel", "anomalousToken", "maliciousIPAddress"],
        rng.u64(..),
    );
    record.set("riskState", "atRisk");
    record.set("riskLevelAggregated", level);
    // The first is beta's, the second v1.0's (Graph: signIn resource).
    record.set("riskEventTypes_v2", json!([kind]));
    record.set("riskEventTypes", json!([kind]));
}

/// Fills in what a workload's fresh sign-in lacks.
fn measure(rng: &mut Rng, record: &mut Record) {
    let before = record
        .get("processingTimeInMilliseconds")
        .as_u64()
        .unwrap_or_default();
    record.set("processingTimeInMilliseconds", before + rng.u64(1..300));
    if record.get("authenticationProcessingDetails") == json!([]) {
        let detail = json!([{"key": "Is CAE Token", "value": "False"}]);
        record.set("authenticationProcessingDetails", detail);
    }
}

/// Gives the risk one of the outcomes, another than it has.
fn settle(rng: &mut Rng, record: &mut Record, outcomes: &[Outcome]) {
    let (state, detail) = (record.text("riskState"), record.text("riskDetail"));
    let others = outcomes
        .iter()
        .filter(|other| **other != (&*state, &*detail));
    if let Some((state, detail)) = rng.choice(others.collect::<Vec<_>>()) {
        record.set("riskState", *state);
        record.set("riskDetail", *detail);
    }
}

/// Gives a risky identity the level that goes with its state.
fn weigh(record: &mut Record) {
    let level = match &*record.text("riskState") {
        "confirmedCompromised" => "high",
        _ => "none",
    };
    record.set("riskLevel", level);
    record.set("isProcessing", false);
}

/// Adds the technique to a detection that came without.
fn name_technique(record: &mut Record) {
    let info = record.text("additionalInfo");
    if !info.contains("mitreTechniques")
        && let Some(pairs) = info.strip_suffix("}]")
    {
        let info = format!(r#"{pairs}}},{{"Key":"mitreTechniques","Value":"T1078"}}]"#);
        record.set("additionalInfo", info);
    }
}

/// Moves an alert on: someone takes it up, closes it, or opens it again.
fn handle(rng: &mut Rng, record: &mut Record, at: DateTime<Utc>) {
    if record.text("status") == "inProgress" {
        let verdicts = &[
            ("truePositive", "compromisedAccount"),
            ("informationalExpectedActivity", "confirmedActivity"),
            ("falsePositive", "notMalicious"),
        ];
        let (classification, determination) = *cast::at(verdicts, rng.u64(..));
        record.set("status", "resolved");
        record.set("classification", classification);
        record.set("determination", determination);
        record.set("resolvedDateTime", times::three_hundredths(at, rng));
    } else {
        record.set("status", "inProgress");
        record.set("assignedTo", cast::admin(rng.u64(..)).upn);
        record.set("resolvedDateTime", Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use chrono::{SubsecRound, TimeDelta};

    use super::*;
    use crate::emulator::records::{scene::Scene, situations};

    fn at() -> DateTime<Utc> {
        "2026-11-22T10:00:07.25Z".parse().unwrap()
    }

    fn records(stream: Stream) -> impl Iterator<Item = String> {
        situations::of(stream).iter().flat_map(move |situation| {
            (0..4).map(move |n| {
                situation
                    .template
                    .fill(&Scene::new(n, stream.name(), at(), n, None))
            })
        })
    }

    fn names(text: &str) -> Vec<String> {
        Record::parse(text)
            .unwrap()
            .0
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn a_revision_differs_and_keeps_the_id_and_the_order_of_the_properties() {
        let mut rng = Rng::with_seed(5);
        for stream in Stream::ALL {
            for mut before in records(stream) {
                for hours in 1..4 {
                    let later = at() + TimeDelta::hours(hours);
                    let Some(after) = revise(&mut rng, stream, &before, later) else {
                        assert!(matches!(
                            stream,
                            Stream::DirectoryAudits | Stream::Provisioning
                        ));
                        break;
                    };
                    assert_ne!(before, after);
                    assert_eq!(names(&before), names(&after));
                    let [was, is] = [&before, &after].map(|text| Record::parse(text).unwrap());
                    assert_eq!(was.get("id"), is.get("id"));
                    let time: DateTime<Utc> =
                        is.text(stream.entry().time_property).parse().unwrap();
                    let fixed = stream.entry().time_property == "createdDateTime";
                    let expected = if fixed { at() } else { later };
                    assert_eq!(time.trunc_subsecs(0), expected.trunc_subsecs(0), "{after}");
                    before = after;
                }
            }
        }
    }

    #[test]
    fn what_a_revision_does_not_concern_stays_byte_for_byte() {
        let mut rng = Rng::with_seed(5);
        for before in records(Stream::SignIns) {
            let after = revise(&mut rng, Stream::SignIns, &before, at()).unwrap();
            let [was, is] = [&before, &after].map(|text| Record::parse(text).unwrap());
            for ((name, was), (_, is)) in was.0.iter().zip(&is.0) {
                if ["location", "appliedConditionalAccessPolicies", "userAgent"].contains(&&**name)
                {
                    assert_eq!(was, is, "{name}");
                }
            }
        }
    }

    #[test]
    fn a_sign_in_that_is_still_aggregated_gets_its_primary_authentication() {
        let fresh = r#"{"id":"1","createdDateTime":"2026-11-22T10:00:07Z","authenticationMethodsUsed":[],"mfaDetail":null,"status":{"errorCode":0,"failureReason":"Other.","additionalDetails":"MFA requirement satisfied by claim in the token"},"authenticationDetails":[{"authenticationMethod":"Previously satisfied","succeeded":true,"authenticationStepRequirement":""}]}"#;
        let text = revise(&mut Rng::with_seed(1), Stream::SignIns, fresh, at()).unwrap();
        let record = Record::parse(&text).unwrap();
        assert_eq!(
            record.get("status")["additionalDetails"],
            "MFA completed in Azure AD"
        );
        let steps = record.get("authenticationDetails");
        assert_eq!(
            steps[0]["authenticationStepRequirement"],
            "Primary authentication"
        );
        assert_eq!(steps[1]["authenticationMethod"], "Mobile app notification");
    }

    #[test]
    fn what_is_no_record_is_not_revised() {
        for text in ["", "[]", "{\"id\":"] {
            assert_eq!(
                revise(&mut Rng::with_seed(5), Stream::SignIns, text, at()),
                None
            );
        }
    }
}
