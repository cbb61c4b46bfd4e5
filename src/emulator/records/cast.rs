//! Who and what appears in the emulated tenant's records: people, guests, programs, machines and
//! places of a made-up organisation.
//!
//! Everything of the organisation is invented: example domains (contoso.com, fabrikam.com,
//! wingtiptoys.com), addresses and networks reserved for documentation (RFC 5737, RFC 3849,
//! RFC 5398) and GUIDs computed from a name, the same in every build. Microsoft's own programs,
//! resources, roles and permissions carry their published ids, because detection rules compare
//! against these.
//!
//! No text in here holds a quote, a backslash or a control character: records also carry these
//! values in JSON inside a string. A test of the parent module keeps it so.

use super::ids::{guid, mix};

/// The emulated tenant.
pub const TENANT_ID: &str = "7c0e4b1a-52d6-4f93-8a3e-d1b06c94e725";
/// The tenant that owns Microsoft's own programs.
pub const MICROSOFT_TENANT_ID: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";

/// The item of a list that `n` falls on.
pub fn at<T>(list: &'static [T], n: u64) -> &'static T {
    // Every list in this file has items, so the remainder is a valid index.
    &list[(n % list.len() as u64) as usize]
}

/// Where a sign-in comes from, as Graph's signInLocation and autonomousSystemNumber tell it.
pub struct Place {
    pub city: &'static str,
    pub state: &'static str,
    pub country: &'static str,
    pub latitude: f64,
    pub longitude: f64,
    pub network: u32,
    prefix: &'static str,
    first: u64,
}

impl Place {
    /// One of the place's 16 addresses, or, for every sixth `n`, one of its IPv6 addresses.
    pub fn ip(&self, n: u64) -> String {
        match n % 6 {
            0 => format!("2001:db8:{:x}::{:x}", self.network & 0xffff, n >> 48),
            _ => format!("{}.{}", self.prefix, self.first + (n >> 8) % 16),
        }
    }
}

#[rustfmt::skip] // a table
const fn place(
    (city, state, country): (&'static str, &'static str, &'static str),
    (latitude, longitude): (f64, f64), prefix: &'static str, first: u64, network: u32,
) -> Place {
    Place { city, state, country, latitude, longitude, network, prefix, first }
}

const STAFF: &str = "192.0.2";
const CLOUD: &str = "198.51.100";
const ELSEWHERE: &str = "203.0.113";

/// Where the staff live and work.
#[rustfmt::skip] // a table
pub static HOMES: &[Place] = &[
    place(("Redmond", "Washington", "US"), (47.68050003051758, -122.12094116210938), STAFF, 16, 64496),
    place(("Chicago", "Illinois", "US"), (41.8819, -87.6278), STAFF, 32, 64497),
    place(("Toronto", "Ontario", "CA"), (43.6532, -79.3832), STAFF, 48, 64498),
    place(("London", "England", "GB"), (51.5074, -0.1278), STAFF, 64, 64499),
    place(("Paris", "Paris", "FR"), (48.861000061035156, 2.3380000591278076), STAFF, 80, 64500),
    place(("Munich", "Bayern", "DE"), (48.1374, 11.5755), STAFF, 96, 64501),
    place(("Oslo", "Oslo", "NO"), (59.9139, 10.7522), STAFF, 112, 64502),
    place(("Sao Paulo", "Sao Paulo", "BR"), (-23.5475, -46.6361), STAFF, 128, 64503),
    place(("Bengaluru", "Karnataka", "IN"), (12.9716, 77.5946), STAFF, 144, 64504),
    place(("Tokyo", "Tokyo", "JP"), (35.6895, 139.6917), STAFF, 160, 64505),
    place(("Sydney", "New South Wales", "AU"), (-33.8678, 151.2073), STAFF, 176, 64506),
];

/// Where sign-ins come from that are not the staff's. The last could not be located: Graph then
/// sends empty names and 0/0.
#[rustfmt::skip] // a table
pub static AWAY: &[Place] = &[
    place(("Amsterdam", "Noord-Holland", "NL"), (52.374, 4.8897), ELSEWHERE, 16, 64507),
    place(("Frankfurt Am Main", "Hessen", "DE"), (50.1155, 8.6842), ELSEWHERE, 32, 64508),
    place(("Singapore", "Central Singapore", "SG"), (1.2897, 103.8501), ELSEWHERE, 48, 64509),
    place(("Bucharest", "Bucuresti", "RO"), (44.4323, 26.1063), ELSEWHERE, 64, 64510),
    place(("Panama City", "Panama", "PA"), (8.9936, -79.5197), ELSEWHERE, 80, 64511),
    place(("", "", ""), (0.0, 0.0), ELSEWHERE, 96, 65536),
];

/// Data centres that workloads sign in from.
#[rustfmt::skip] // a table
pub static CLOUDS: &[Place] = &[
    place(("Amsterdam", "Noord-Holland", "NL"), (52.35, 4.9167), CLOUD, 16, 65537),
    place(("Boydton", "Virginia", "US"), (36.6676, -78.3875), CLOUD, 32, 65537),
    place(("Dublin", "Dublin", "IE"), (53.3331, -6.2489), CLOUD, 48, 65538),
    place(("", "", ""), (0.0, 0.0), CLOUD, 64, 65539),
];

/// A person with an account in the tenant.
pub struct Person {
    pub n: u64,
    pub id: String,
    pub name: String,
    pub upn: String,
    pub home: &'static Place,
}

/// How many people sign in from day to day.
pub const STAFF_COUNT: u64 = 240;

#[rustfmt::skip] // a table
const NAMED: &[(&str, &str)] = &[
    ("Nadia Okonkwo", "nadia.okonkwo"),
    ("Tomasz Wiśniewski", "tomasz.wisniewski"),
    ("Zoë Bélanger", "zoe.belanger"),
    ("Priya Raghunathan", "priya.raghunathan"),
    ("Jürgen Müller", "juergen.mueller"),
    ("佐藤 健", "ken.sato"),
    ("María José Peña", "mariajose.pena"),
    ("Fionnuala Ó Briain", "fionnuala.obriain"),
    ("Олена Шевченко", "olena.shevchenko"),
    ("Marcus Thorne", "marcus.thorne"),
];
#[rustfmt::skip] // word lists
const GIVEN: &[&str] = &[
    "Aiko", "Amara", "Anders", "Beatriz", "Callum", "Chiara", "Dalia", "Emeka", "Farid", "Greta",
    "Hana", "Ilse", "Jonas", "Keisha", "Leon", "Mei", "Nils", "Oriana", "Pavel", "Quentin",
    "Rosa", "Samir", "Tessa", "Ulrik", "Vera", "Wen", "Ximena", "Yusuf", "Zainab",
];
#[rustfmt::skip]
const FAMILY: &[&str] = &[
    "Abara", "Bergström", "Castellano", "Dvorak", "Eriksen", "Fontaine", "Grigoryan", "Haddad",
    "Iwasaki", "Jansen", "Kowalczyk", "Lindqvist", "Marchetti", "Novak", "Oduya", "Petrov",
    "Quiroga", "Rahman", "Santos", "Takahashi", "Ueda", "Varga", "Weiss", "Xu", "Yilmaz", "Zhao",
    "Almeida", "Brandt", "Costa", "Desai", "Engel",
];

/// The tenant's person number `n`. There is no last one.
pub fn person(n: u64) -> Person {
    let (name, alias) = match usize::try_from(n).ok().and_then(|n| NAMED.get(n)) {
        Some((name, alias)) => ((*name).to_owned(), (*alias).to_owned()),
        None => {
            let (given, family) = (at(GIVEN, n), at(FAMILY, mix(n)));
            let ascii = family.replace('ö', "o");
            (
                format!("{given} {family}"),
                format!("{given}.{ascii}{n}").to_lowercase(),
            )
        }
    };
    Person {
        n,
        id: guid("person", n),
        name,
        upn: format!("{alias}@contoso.com"),
        home: at(HOMES, mix(n)),
    }
}

/// An administrator's separate account.
pub fn admin(n: u64) -> Person {
    let list: &[(&str, &str)] = &[
        ("Ingrid Solberg (Admin)", "adm-isolberg"),
        ("Rafael Duarte (Admin)", "adm-rduarte"),
        ("Kwame Boateng (Helpdesk)", "hd-kboateng"),
        ("Break Glass 1", "breakglass1"),
    ];
    let n = n % 4;
    let (name, alias) = at(list, n);
    Person {
        n,
        id: guid("admin", n),
        name: (*name).to_owned(),
        upn: format!("{alias}@contoso.com"),
        home: at(HOMES, n),
    }
}

/// Someone of another organisation: name, address at home, home tenant's name.
#[rustfmt::skip] // a table
pub static GUESTS: &[(&str, &str, &str)] = &[
    ("Lars Holm", "lars.holm@fabrikam.com", "Fabrikam"),
    ("Chidinma Eze", "chidinma.eze@fabrikam.com", "Fabrikam"),
    ("Noor van Dijk", "noor@wingtiptoys.com", "Wingtip Toys"),
    ("Stefan Ionescu", "s.ionescu@wingtiptoys.com", "Wingtip Toys"),
];

/// Groups: name and, for Microsoft 365 and security groups, the type Graph names.
#[rustfmt::skip] // a table
pub static GROUPS: &[(&str, &str)] = &[
    ("SG-Finance-Reporting", "azureAD"),
    ("SG-VPN-Users", "azureAD"),
    ("Tier 0 Administrators", "azureAD"),
    ("Marketing & Communications", "unifiedGroups"),
    ("Project Aurora", "unifiedGroups"),
    ("SG-Break-Glass-Exclusion", "azureAD"),
];

/// Directory roles: display name, published template id, WellKnownObjectName.
#[rustfmt::skip] // a table
pub static ROLES: &[(&str, &str, &str)] = &[
    ("Global Administrator", "62e90394-69f5-4237-9190-012177145e10", "TenantAdmins"),
    ("User Administrator", "fe930be7-5e62-47db-91af-98c3a49a38b1", "UserAccountAdmins"),
    ("Helpdesk Administrator", "729827e3-9c14-49f7-bb1b-9608f156bbb8", "HelpdeskAdmins"),
    ("Privileged Role Administrator", "e8611ab8-c189-46e8-94e1-60213ab1f814", "PrivilegedRoleAdmins"),
    ("Application Administrator", "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", "ApplicationAdministrators"),
];

/// Application permissions of Microsoft Graph: published id, value, display name.
#[rustfmt::skip] // a table
pub static PERMISSIONS: &[(&str, &str, &str)] = &[
    ("e2a3a72e-5f79-4c64-b1b1-878b674786c9", "Mail.ReadWrite", "Read and write mail in all mailboxes"),
    (
        "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8", "RoleManagement.ReadWrite.Directory",
        "Read and write all directory RBAC settings",
    ),
    ("b0afded3-3588-46d8-8b3d-9842eff778da", "AuditLog.Read.All", "Read all audit log data"),
    ("7ab1d382-f21e-4acd-a863-ba3e13f7da61", "Directory.Read.All", "Read directory data"),
];

/// Programs of other makers that users consent to: name, publisher's domain, scopes asked for.
#[rustfmt::skip] // a table
pub static VENDORS: &[(&str, &str, &str)] = &[
    ("Fabrikam Scheduler", "fabrikam.com", "openid profile User.Read Calendars.ReadWrite"),
    ("Wingtip Mail Merge", "wingtiptoys.com", "User.Read Mail.ReadWrite Mail.Send offline_access"),
    ("PDF Toolbox Online", "example.net", "User.Read Files.Read.All offline_access"),
];

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::emulator::records::machines;

    #[test]
    fn no_name_needs_escaping() {
        for n in 0..5000 {
            for name in [
                person(n).name,
                person(n).upn,
                admin(n).name,
                machines::principal(n).name,
            ] {
                assert!(
                    !name.contains(|c: char| c.is_control() || "\"\\{}".contains(c)),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn every_place_has_valid_addresses() {
        for place in HOMES.iter().chain(AWAY).chain(CLOUDS) {
            for n in 0..64 {
                let ip = place.ip(mix(n));
                assert!(ip.parse::<IpAddr>().is_ok(), "{ip}");
            }
        }
    }
}
