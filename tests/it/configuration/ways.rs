//! Faults of the ways in: credentials, proxy, TLS, passwords; and that no secret is repeated.

use vector_entra_id::config::{Format, parse};

use super::{says, valid, yaml_faults};

#[test]
fn how_the_app_proves_itself_is_named_once_and_can_be_used() {
    let ids = "state_dir: /x\noutlet: {stdout: {}}\ntenants:\n  - tenant_id: \
               11111111-2222-3333-4444-555555555555\n    client_id: \
               66666666-7777-8888-9999-000000000000\n";
    for (proof, place, remedy) in [
        ("", "tenants[0].client_secret", "is missing; name where"),
        (
            "    managed_identity: {}\n    certificate: {file: /x}\n",
            "tenants[0].certificate",
            "stands beside managed_identity",
        ),
        (
            "    certificate: {}\n",
            "tenants[0].certificate.file",
            "is missing",
        ),
        (
            "    certificate: {file: /missing.pem}\n",
            "tenants[0].certificate",
            "cannot read /missing.pem",
        ),
        (
            "    workload_identity: {token_file: /missing}\n",
            "tenants[0].workload_identity.token_file",
            "cannot read the federated token in /missing",
        ),
        (
            "    client_secret: {file: /missing, expires: soon}\n",
            "tenants[0].client_secret.expires",
            "write it as 2027-05-01",
        ),
        (
            "    client_secret: s3cr3t\n",
            "tenants[0].client_secret",
            "the secret itself does not belong here",
        ),
    ] {
        let faults = yaml_faults(&format!("{ids}{proof}"));
        says(&faults, place, remedy);
        assert!(!format!("{faults:?}").contains("s3cr3t"), "{faults:?}");
    }
    let parsed = parse(
        "c",
        &format!("{ids}    managed_identity: {{}}\n"),
        Format::Yaml,
    )
    .unwrap();
    assert_eq!(parsed.tenants[0].credential.name(), "managed_identity");
}

#[test]
fn each_way_in_which_a_proxy_tls_or_a_password_is_wrong_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let no_pem = dir.path().join("no.pem");
    std::fs::write(&no_pem, "no certificate").unwrap();
    let no_pem = no_pem.display();
    let valid = valid(&dir);
    for (network, place, remedy) in [
        ("{proxy: {}}", "network.proxy.url", "is missing"),
        (
            "{proxy: {url: 'socks5://h:1'}}",
            "network.proxy.url",
            "http:// or https://",
        ),
        (
            "{proxy: {url: 'http://u:pw@h:1'}}",
            "network.proxy.url",
            "`user` and `password`",
        ),
        (
            "{proxy: {url: 'http://h:1', user: u}}",
            "network.proxy.password",
            "is missing",
        ),
        (
            "{ca_file: /missing.pem}",
            "network.ca_file",
            "cannot read the CA file /missing.pem",
        ),
        (
            &format!("{{ca_file: {no_pem}}}"),
            "network.ca_file",
            "holds no PEM certificate",
        ),
    ] {
        says(
            &yaml_faults(&format!("{valid}network: {network}\n")),
            place,
            remedy,
        );
    }
    for (more, place, remedy) in [
        ("auth: {user: u}", "outlet.http.auth.password", "is missing"),
        (
            "auth: {password: {env: UNSET_BY_ALL}}",
            "outlet.http.auth.user",
            "is missing",
        ),
        (
            "tls: {cert_file: /c.pem}",
            "outlet.http.tls.key_file",
            "is missing",
        ),
        (
            "tls: {ca_file: /missing.pem}",
            "outlet.http.tls",
            "cannot read the CA file",
        ),
        (
            "tls: {cert_file: /missing.pem, key_file: /k.pem}",
            "outlet.http.tls",
            "cannot read the client certificate /missing.pem",
        ),
    ] {
        let url = "'https://vector.example:8443/'";
        let text = valid.replace("'http://127.0.0.1:8080/'", &format!("{url}, {more}"));
        says(&yaml_faults(&text), place, remedy);
    }
    let text = valid.replace("8080/'", "8080/', tls: {}");
    says(&yaml_faults(&text), "outlet.http.tls", "use https");
}

#[test]
fn a_secret_that_stands_in_a_wrong_place_is_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let valid = valid(&dir);
    for text in [
        format!("{valid}network: {{proxy: {{url: 'http://h:1', user: u, password: hunter2}}}}\n"),
        format!("{valid}network: {{proxy: 'http://u:hunter2@h:1'}}\n"),
        valid.replace("8080/'", "8080/', auth: {user: u, password: hunter2}"),
        valid.replace(
            "8080/'",
            "8080/', auth: {user: u, password: {file: [hunter2]}}",
        ),
        valid.replace("8080/'", "8080/', auth: 'u:hunter2'"),
        valid.replace(
            "client_secret:",
            "certificate: {file: /x.pfx, password: hunter2}\n    x:",
        ),
        valid.replace("client_secret:", "certificate: hunter2\n    x:"),
        valid.replace("client_secret:", "certificate: {file: hunter2}\n    x:"),
        valid.replace(
            "client_secret:",
            "certificate: {file: \"-----BEGIN PRIVATE KEY-----\\nhunter2/x\"}\n    x:",
        ),
        valid.replace("client_secret:", "client_secret: {file: hunter2}\n    x:"),
        valid.replace("client_secret:", "client_secret: {env: hunter2}\n    x:"),
        valid.replace("client_secret:", "client_secret: {hunter2: x}\n    x:"),
        valid.replace("client_secret:", "workload_identity: hunter2\n    x:"),
        valid.replace("66666666-7777-8888-9999-000000000000", "hunter2"),
        "tenants: [hunter2]\n".to_owned(),
        "hunter2\n".to_owned(),
    ] {
        let faults = yaml_faults(&text);
        assert!(!format!("{faults:?}").contains("hunter2"), "{faults:#?}");
        assert!(!faults.is_empty());
    }
}
