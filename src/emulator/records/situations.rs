//! Every situation that the emulated tenant gets into, by stream, with how often it does.

use std::sync::LazyLock;

use super::template::Template;
use crate::stream::Stream;

/// A template with its weight among its stream's templates.
pub struct Situation {
    #[cfg(test)]
    pub name: &'static str,
    weight: u32,
    pub template: Template,
}

macro_rules! situations {
    ($stream:literal: $($name:literal $weight:literal),+ $(,)?) => {{
        static ALL: LazyLock<Vec<Situation>> = LazyLock::new(|| {
            vec![$(Situation {
                #[cfg(test)]
                name: $name,
                weight: $weight,
                template: Template::compile(include_str!(concat!(
                    "templates/", $stream, "/", $name, ".json"
                ))),
            }),+]
        });
        ALL.as_slice()
    }};
}

/// The situations of a stream; never none.
#[rustfmt::skip] // tables
pub fn of(stream: Stream) -> &'static [Situation] {
    match stream {
        Stream::SignIns => situations!("sign_ins":
            "mfa_success" 240, "mfa_success_aggregating" 90, "mfa_claim_success" 200,
            "microsoft_office_success" 60, "password_success" 90, "passwordless_success" 80,
            "password_wrong_50126" 60, "password_spray_50126" 25, "account_unknown_50034" 10,
            "account_locked_50053" 10, "mfa_required_50076" 30, "mfa_prompted_50074" 25,
            "mfa_denied_500121" 8, "mfa_code_wrong_500121" 8,
            "conditional_access_blocked_53003" 12, "device_code_phishing" 3, "guest_success" 25,
            "legacy_imap_success" 10, "risky_success" 4, "risky_remediated" 3,
            "consent_interrupt_65001" 4, "stay_signed_in_50140" 12,
        ),
        Stream::SignInsNonInteractive => situations!("sign_ins_non_interactive":
            "primary_refresh_token_success" 420, "refresh_token_success" 250,
            "browser_session_success" 180, "guest_token_success" 30, "sign_in_frequency_70043" 45,
            "token_expired_700082" 15, "mfa_required_50076" 20, "ropc_wrong_password_50126" 25,
            "device_registration_requested" 6, "device_code_redeemed" 3,
            "token_replayed_elsewhere" 2,
        ),
        Stream::SignInsServicePrincipal => situations!("sign_ins_service_principal":
            "client_secret_success" 450, "certificate_success" 250,
            "federated_credential_success" 180, "vendor_success" 60, "secret_wrong_7000215" 25,
            "secret_expired_7000222" 25, "conditional_access_blocked_53003" 3,
        ),
        Stream::SignInsManagedIdentity => situations!("sign_ins_managed_identity":
            "system_assigned_success" 500, "user_assigned_success" 350,
            "user_assigned_federated_success" 100, "system_assigned_unlocated" 30,
            "resource_unknown_500011" 8,
        ),
        Stream::DirectoryAudits => situations!("directory_audits":
            "update_user" 70, "update_user_synchronised" 160, "update_user_authenticator" 60,
            "update_device" 90, "update_device_synchronised" 70, "add_user" 25,
            "add_user_failure" 6, "delete_user" 12, "disable_account" 12,
            "reset_user_password" 25, "reset_password_self_service_failure" 8,
            "change_user_password" 25, "update_refresh_tokens_valid_from" 25,
            "update_user_guest_to_member" 1, "invite_external_user" 15,
            "security_info_registered" 20, "security_info_deleted" 6,
            "temporary_access_pass_created" 4, "suspicious_activity_reported" 1,
            "authentication_methods_policy_update" 1, "add_group" 10, "update_group_timeout" 3,
            "add_member_to_group" 45, "add_member_to_group_by_rule" 50,
            "remove_member_from_group" 30, "add_member_to_role" 4,
            "add_member_to_role_principal" 4, "remove_member_from_role" 6, "pim_activation" 15,
            "pim_eligible_permanent" 2, "pim_role_setting_updated" 1, "add_application" 5,
            "update_application_secrets" 4, "update_application_redirect" 2,
            "update_application_federated_credential" 1, "consent_to_application" 6,
            "consent_to_application_by_admin" 3, "consent_to_application_failure" 2,
            "add_delegated_permission_grant" 8, "add_app_role_assignment" 4,
            "add_service_principal" 6, "add_service_principal_failure" 3,
            "add_service_principal_credentials" 2, "add_owner_to_application" 2,
            "add_conditional_access_policy" 2, "update_conditional_access_policy" 2,
            "update_policy" 3, "add_device" 12, "add_device_by_tool" 1, "register_device" 14,
            "delete_device" 10, "add_registered_owner_to_device" 12,
            "add_registered_users_to_device" 12, "recover_local_administrator_password" 3,
            "add_verified_domain" 1, "set_domain_authentication" 1,
            "set_company_information_failure" 1, "elevated_access" 1, "provisioning_export" 30,
            "provisioning_export_failure" 8, "add_member_to_administrative_unit" 3,
        ),
        Stream::Provisioning => situations!("provisioning":
            "create_user_success" 80, "update_user_success" 300, "update_user_warning" 15,
            "disable_user_success" 40, "delete_user_success" 25, "create_user_failure" 40,
            "create_group_success" 15, "group_unchanged_skipped" 250,
            "user_out_of_scope_skipped" 150,
        ),
        Stream::RiskDetections => situations!("risk_detections":
            "unfamiliar_features" 30, "anonymized_ip_address" 15, "unlikely_travel" 15,
            "new_country" 6, "leaked_credentials" 4, "anomalous_token" 10,
            "attacker_in_the_middle" 2, "password_spray" 6, "malicious_ip_address" 6,
            "attempted_prt_access" 2, "suspicious_inbox_forwarding" 3,
            "user_reported_suspicious_activity" 3, "threat_intelligence_sign_in" 2,
            "admin_confirmed_compromised" 2, "remediated_by_mfa" 12, "generic_without_p2" 4,
            "federated_unfamiliar_features" 4,
        ),
        Stream::ServicePrincipalRiskDetections => situations!("service_principal_risk_detections":
            "suspicious_sign_ins" 30, "leaked_credentials" 10, "anomalous_activity" 15,
            "admin_confirmed_compromised" 4, "malicious_application" 6,
            "suspicious_api_traffic" 10, "hidden_without_licence" 5,
        ),
        Stream::RiskyUsers => situations!("risky_users":
            "at_risk" 50, "processing" 5, "remediated" 25, "dismissed" 15,
            "confirmed_compromised" 4, "hidden_without_p2" 3,
        ),
        Stream::RiskyServicePrincipals => situations!("risky_service_principals":
            "at_risk" 40, "confirmed_compromised_disabled" 6, "dismissed" 15,
            "managed_identity_at_risk" 5,
        ),
        Stream::SecurityAlerts => situations!("security_alerts":
            "unfamiliar_sign_in" 30, "anonymous_ip_address" 15, "leaked_credentials" 5,
            "password_spray" 8, "anomalous_token" 10, "in_progress_atypical_travel" 10,
            "inbox_rule_manipulation" 5, "malware_on_device" 12, "resolved_multi_stage" 4,
        ),
    }
}

/// One of a stream's situations, each as often as its weight says.
pub fn draw(rng: &mut fastrand::Rng, stream: Stream) -> &'static Situation {
    let all = of(stream);
    // The tables above hold at least one situation with a weight, so the sum is above zero and
    // the index below exists.
    let sum: u32 = all.iter().map(|situation| situation.weight).sum();
    let mut left = rng.u32(..sum);
    let drawn = all.iter().find(|situation| {
        let found = left < situation.weight;
        left = left.saturating_sub(situation.weight);
        found
    });
    drawn.unwrap_or(&all[0])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_template_file_is_listed() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/emulator/records/templates"
        );
        for stream in Stream::ALL {
            let files = std::fs::read_dir(format!("{folder}/{}", stream.name())).unwrap();
            let files: HashSet<String> = files
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .filter(|file| !file.starts_with("seed_"))
                .collect();
            let listed: HashSet<String> = of(stream)
                .iter()
                .map(|it| format!("{}.json", it.name))
                .collect();
            assert_eq!(listed, files, "{stream:?}");
        }
    }

    #[test]
    fn every_situation_comes_up() {
        let mut rng = fastrand::Rng::with_seed(2);
        for stream in Stream::ALL {
            let drawn: HashSet<&str> = (0..20_000).map(|_| draw(&mut rng, stream).name).collect();
            assert_eq!(drawn.len(), of(stream).len(), "{stream:?}");
        }
    }
}
