//! The values that a template can ask for, by name.

use std::borrow::Cow;

use super::{
    cast::{self, at},
    ids::{guid, guid_of, hash},
    machines,
    scene::Field,
};

fn text<'a>(value: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
    value.into()
}

/// `true`, `false`, a number: what stands unquoted.
fn raw<'a>(value: impl ToString) -> Cow<'a, str> {
    value.to_string().into()
}

/// A JSON string, or null where there is none.
fn or_null(value: Option<&str>) -> Cow<'static, str> {
    value.map_or("null".into(), |value| format!("\"{value}\"").into())
}

/// The value called `name`.
pub fn named(name: &str) -> Option<Field> {
    FIELDS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, field)| *field)
}

#[rustfmt::skip] // a table
static FIELDS: &[(&str, Field)] = &[
    ("tenant.id", |_| text(cast::TENANT_ID)),
    ("tenant.compact", |_| text(cast::TENANT_ID.replace('-', ""))),
    ("microsoft.id", |_| text(cast::MICROSOFT_TENANT_ID)),
    ("request.id", |s| { let (high, low) = s.request(); text(guid_of(high, low)) }),
    ("token.identifier", |s| text(s.token_identifier())),
    // directoryAudit ids end in five characters of a shard and a number that grows.
    ("audit.shard", |s| text(s.shard())),
    ("audit.number", |s| raw(20_000_000 + u128::from(s.ordinal) * 17 + u128::from(s.seed % 17))),
    ("user.id", |s| text(&s.user.id)),
    ("user.name", |s| text(&s.user.name)),
    ("user.upn", |s| text(&s.user.upn)),
    ("user.alias", |s| text(s.user.upn.trim_end_matches("@contoso.com"))),
    ("user.ip", |s| text(s.user.home.ip(hash("ip", s.user.n)))),
    ("user.sid", |s| text(s.sid())),
    ("target.id", |s| text(&s.target().id)),
    ("target.name", |s| text(&s.target().name)),
    ("target.upn", |s| text(&s.target().upn)),
    ("target.alias", |s| text(s.target().upn.trim_end_matches("@contoso.com"))),
    ("admin.id", |s| text(&s.admin().id)),
    ("admin.name", |s| text(&s.admin().name)),
    ("admin.upn", |s| text(&s.admin().upn)),
    ("admin.ip", |s| text(s.admin().home.ip(hash("admin's ip", s.admin().n)))),
    ("guest.id", |s| text(guid("guest", s.of("guest") % cast::GUESTS.len() as u64))),
    ("guest.name", |s| text(at(cast::GUESTS, s.of("guest")).0)),
    ("guest.upn", |s| text(at(cast::GUESTS, s.of("guest")).1)),
    ("guest.ext", |s| text(format!("{}#EXT#@contoso.onmicrosoft.com", at(cast::GUESTS, s.of("guest")).1.replace('@', "_")))),
    ("guest.tenant", |s| text(at(cast::GUESTS, s.of("guest")).2)),
    ("guest.tenant_id", |s| text(guid(at(cast::GUESTS, s.of("guest")).2, 0))),
    ("home.city", |s| text(s.home.city)),
    ("home.state", |s| text(s.home.state)),
    ("home.country", |s| text(s.home.country)),
    ("home.latitude", |s| raw(s.home.latitude)),
    ("home.longitude", |s| raw(s.home.longitude)),
    ("home.network", |s| raw(s.home.network)),
    ("away.city", |s| text(s.away.city)),
    ("away.state", |s| text(s.away.state)),
    ("away.country", |s| text(s.away.country)),
    ("away.latitude", |s| raw(s.away.latitude)),
    ("away.longitude", |s| raw(s.away.longitude)),
    ("away.network", |s| raw(s.away.network)),
    ("away.ip", |s| text(s.away.ip(s.of("away's ip")))),
    ("cloud.city", |s| text(s.cloud.city)),
    ("cloud.state", |s| text(s.cloud.state)),
    ("cloud.country", |s| text(s.cloud.country)),
    ("cloud.latitude", |s| raw(s.cloud.latitude)),
    ("cloud.longitude", |s| raw(s.cloud.longitude)),
    ("cloud.network", |s| raw(s.cloud.network)),
    ("cloud.ip", |s| text(s.cloud.ip(s.of("cloud's ip")))),
    ("device.id", |s| text(&s.device().id)),
    ("device.name", |s| text(&s.device().name)),
    ("device.os", |s| text(s.device().model.os)),
    ("device.browser", |s| text(s.device().model.browser)),
    ("device.agent", |s| text(s.device().model.agent)),
    ("device.trust", |s| or_null(s.device().model.trust)),
    ("device.managed", |s| raw(s.device().model.managed)),
    ("target.device.id", |s| text(&s.target_device().id)),
    ("target.device.object", |s| text(&s.target_device().object_id)),
    ("target.device.name", |s| text(&s.target_device().name)),
    ("target.device.trust", |s| text(s.target_device().model.directory.0)),
    ("target.device.os", |s| text(s.target_device().model.directory.1)),
    ("target.device.version", |s| text(s.target_device().model.directory.2)),
    ("target.device.browser", |s| text(s.target_device().model.browser)),
    ("target.device.agent", |s| text(s.target_device().model.agent)),
    ("target.device.trust_type", |s| or_null(s.target_device().model.trust)),
    ("target.device.managed", |s| raw(s.target_device().model.managed)),
    ("web.name", |s| text(s.web.name)),
    ("web.id", |s| text(s.web.id)),
    ("web.owner", |s| text(s.web.owner)),
    ("web.sp", |s| text(guid(s.web.id, 0))),
    ("web.resource.name", |s| text(s.web.resource.0)),
    ("web.resource.id", |s| text(s.web.resource.1)),
    ("web.resource.sp", |s| text(guid(s.web.resource.1, 0))),
    ("client.name", |s| text(s.client.name)),
    ("client.id", |s| text(s.client.id)),
    ("client.sp", |s| text(guid(s.client.id, 0))),
    ("client.resource.name", |s| text(s.client.resource.0)),
    ("client.resource.id", |s| text(s.client.resource.1)),
    ("client.resource.sp", |s| text(guid(s.client.resource.1, 0))),
    ("principal.id", |s| text(&s.principal().id)),
    ("principal.name", |s| text(&s.principal().name)),
    ("principal.app", |s| text(&s.principal().app_id)),
    ("principal.resource.name", |s| text(s.principal().resource.0)),
    ("principal.resource.id", |s| text(s.principal().resource.1)),
    ("principal.resource.sp", |s| text(guid(s.principal().resource.1, 0))),
    ("identity.name", |s| text(at(machines::IDENTITIES, s.of("identity")).0)),
    ("identity.path", |s| text(at(machines::IDENTITIES, s.of("identity")).1)),
    ("identity.id", |s| text(guid("identity", s.of("identity") % machines::IDENTITIES.len() as u64))),
    ("identity.app", |s| text(guid("identity's application", s.of("identity") % machines::IDENTITIES.len() as u64))),
    ("identity.resource.name", |s| text(at(machines::IDENTITIES, s.of("identity")).2.0)),
    ("identity.resource.id", |s| text(at(machines::IDENTITIES, s.of("identity")).2.1)),
    ("identity.resource.sp", |s| text(guid(at(machines::IDENTITIES, s.of("identity")).2.1, 0))),
    ("shared.name", |s| text(at(machines::SHARED_IDENTITIES, s.of("shared")).0)),
    ("shared.id", |s| text(guid(at(machines::SHARED_IDENTITIES, s.of("shared")).0, 0))),
    ("shared.app", |s| text(guid(at(machines::SHARED_IDENTITIES, s.of("shared")).0, 1))),
    ("shared.resource.name", |s| text(at(machines::SHARED_IDENTITIES, s.of("shared")).1.0)),
    ("shared.resource.id", |s| text(at(machines::SHARED_IDENTITIES, s.of("shared")).1.1)),
    ("shared.resource.sp", |s| text(guid(at(machines::SHARED_IDENTITIES, s.of("shared")).1.1, 0))),
    ("group.id", |s| text(guid(at(cast::GROUPS, s.of("group")).0, 0))),
    ("group.name", |s| text(at(cast::GROUPS, s.of("group")).0)),
    ("group.type", |s| text(at(cast::GROUPS, s.of("group")).1)),
    ("role.id", |s| text(guid(at(cast::ROLES, s.of("role")).1, 0))),
    ("role.name", |s| text(at(cast::ROLES, s.of("role")).0)),
    ("role.template", |s| text(at(cast::ROLES, s.of("role")).1)),
    ("role.known", |s| text(at(cast::ROLES, s.of("role")).2)),
    ("permission.id", |s| text(at(cast::PERMISSIONS, s.of("permission")).0)),
    ("permission.value", |s| text(at(cast::PERMISSIONS, s.of("permission")).1)),
    ("permission.name", |s| text(at(cast::PERMISSIONS, s.of("permission")).2)),
    ("vendor.name", |s| text(at(cast::VENDORS, s.of("vendor")).0)),
    ("vendor.scopes", |s| text(at(cast::VENDORS, s.of("vendor")).2)),
    ("vendor.app", |s| text(guid(at(cast::VENDORS, s.of("vendor")).0, 0))),
    ("vendor.sp", |s| text(guid(at(cast::VENDORS, s.of("vendor")).0, 1))),
    ("vendor.tenant", |s| text(guid(at(cast::VENDORS, s.of("vendor")).1, 0))),
];
