//! What appears in the emulated tenant's records beside people: programs, workloads, devices.
//!
//! The same rules hold as in [`cast`](super::cast): Microsoft's own programs and resources carry
//! their published ids, everything else is invented, no text needs escaping in JSON.

use super::{
    cast::{MICROSOFT_TENANT_ID, Person, TENANT_ID, at},
    ids::{guid, hash},
};

/// What a sign-in gets a token for: name, id.
type Resource = (&'static str, &'static str);

const GRAPH: Resource = ("Microsoft Graph", "00000003-0000-0000-c000-000000000000");
const EXCHANGE: Resource = (
    "Office 365 Exchange Online",
    "00000002-0000-0ff1-ce00-000000000000",
);
const SHAREPOINT: Resource = (
    "Office 365 SharePoint Online",
    "00000003-0000-0ff1-ce00-000000000000",
);
const TEAMS: Resource = (
    "Microsoft Teams Services",
    "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe",
);
const MANAGEMENT: Resource = (
    "Windows Azure Service Management API",
    "797f4846-ba00-4fd7-ba43-dac1f8f63013",
);
const STORAGE: Resource = ("Azure Storage", "e406a681-f3d4-42a8-90b6-c2b029497af1");
const VAULT: Resource = ("Azure Key Vault", "cfa8b339-82a2-471a-a3c9-0fc0be7a4093");
const OFFICE_HOME: Resource = ("OfficeHome", "4765445b-32c6-49b0-83e6-1d93765276ca");

/// A program that a person signs in to.
pub struct App {
    pub name: &'static str,
    pub id: &'static str,
    pub resource: Resource,
    pub owner: &'static str,
}

const fn microsofts(name: &'static str, id: &'static str, resource: Resource) -> App {
    App {
        name,
        id,
        resource,
        owner: MICROSOFT_TENANT_ID,
    }
}

const fn our_own(name: &'static str, id: &'static str) -> App {
    App {
        name,
        id,
        resource: (name, id),
        owner: TENANT_ID,
    }
}

/// Programs used in a browser.
#[rustfmt::skip] // a table
pub static WEB: &[App] = &[
    microsofts("One Outlook Web", "9199bf20-a13f-4107-85dc-02114787ef48", EXCHANGE),
    microsofts("OfficeHome", "4765445b-32c6-49b0-83e6-1d93765276ca", OFFICE_HOME),
    microsofts("Azure Portal", "c44b4083-3bb0-49c1-b47d-974e53cbdf3c", MANAGEMENT),
    microsofts("Microsoft Teams Web Client", "5e3ce6c0-2b1f-4285-8d4b-75ee78787346", TEAMS),
    microsofts("SharePoint Online Web Client Extensibility", "08e18876-6177-487e-b8b5-cf950c1e598c", SHAREPOINT),
    microsofts("My Apps", "2793995e-0a7d-40d7-bd35-6968ba142197", GRAPH),
    microsofts("Graph Explorer", "de8bc8b5-d9f9-48b1-a8ad-b748da725064", GRAPH),
    our_own("Contoso Expenses", "3f6d2c8e-91b7-4a05-bd4e-6a1f7c20e9b3"),
    our_own("Contoso HR Portal", "a84e1f70-2bd5-4c96-8f13-5de90b7a46c1"),
];

/// Programs installed on a computer or telephone.
#[rustfmt::skip]
pub static CLIENTS: &[App] = &[
    microsofts("Microsoft Office", "d3590ed6-52b3-4102-aeff-aad2292ab01c", EXCHANGE),
    microsofts("Microsoft Teams", "1fec8e78-bce4-4aaf-ab1b-5451cc387264", TEAMS),
    microsofts("OneDrive SyncEngine", "ab9b8c07-8f02-4f72-87fa-80105867a763", SHAREPOINT),
    microsofts("Outlook Mobile", "27922004-5251-4030-b22d-91ecd9a37ea4", EXCHANGE),
    microsofts("Microsoft Azure CLI", "04b07795-8ddb-461a-bbee-02f9e1bf7b46", MANAGEMENT),
    microsofts("Visual Studio Code", "aebc6443-996d-45c2-90f0-388ff96faa56", GRAPH),
    microsofts("Microsoft Azure PowerShell", "1950a258-227b-4e31-a9cf-717495945fc2", MANAGEMENT),
];

/// A workload with an identity of its own in the tenant: a service principal.
pub struct Principal {
    pub id: String,
    pub name: String,
    pub app_id: String,
    pub resource: Resource,
}

/// How many service principals sign in from day to day.
pub const PRINCIPAL_COUNT: u64 = 24;

/// The tenant's service principal number `n`. There is no last one.
pub fn principal(n: u64) -> Principal {
    let list: &[(&str, Resource)] = &[
        // A log collector's own token requests stand in the very stream it collects.
        ("vector-entra-id", GRAPH),
        ("sp-terraform-prod", MANAGEMENT),
        ("Contoso Backup Agent", STORAGE),
        ("GitHub Actions - deploy", MANAGEMENT),
        ("ServiceDesk Connector", GRAPH),
        ("Contoso Data Pipeline", STORAGE),
        ("Payroll Sync (legacy)", GRAPH),
        ("Mailbox Archiver", EXCHANGE),
    ];
    let (name, resource) = *at(list, n);
    let name = match n / list.len() as u64 {
        0 => name.to_owned(),
        generation => format!("{name} {}", generation + 1),
    };
    Principal {
        id: guid("principal", n),
        name,
        app_id: guid("principal's application", n),
        resource,
    }
}

/// A managed identity: name, path of the resource that it belongs to, what it signs in to.
#[rustfmt::skip] // a table
pub static IDENTITIES: &[(&str, &str, Resource)] = &[
    ("vm-web-01", "resourcegroups/rg-web-prod/providers/Microsoft.Compute/virtualMachines/vm-web-01", VAULT),
    ("func-invoices", "resourcegroups/rg-finance/providers/Microsoft.Web/sites/func-invoices", STORAGE),
    ("logic-onboarding", "resourcegroups/rg-hr/providers/Microsoft.Logic/workflows/logic-onboarding", GRAPH),
    ("aa-nightly", "resourcegroups/rg-ops/providers/Microsoft.Automation/automationAccounts/aa-nightly", MANAGEMENT),
];

/// The resource name of a managed identity that stands for itself, and what it signs in to.
pub static SHARED_IDENTITIES: &[(&str, Resource)] = &[
    ("id-aks-kubelet-prod", STORAGE),
    ("id-github-runners", MANAGEMENT),
    ("id-appgw-certificates", VAULT),
];

/// How a computer or telephone shows in deviceDetail and userAgent.
pub struct Model {
    /// What stands before the serial number in the device's name; none for an unregistered one.
    name: Option<&'static str>,
    pub os: &'static str,
    pub browser: &'static str,
    pub agent: &'static str,
    /// deviceDetail.trustType.
    pub trust: Option<&'static str>,
    /// The same for the directory: DeviceTrustType, DeviceOSType and DeviceOSVersion.
    pub directory: (&'static str, &'static str, &'static str),
    pub managed: bool,
}

const EDGE: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/154.0.0.0 Safari/537.36 Edg/154.0.0.0";
const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/154.0.0.0 Safari/537.36";
const SAFARI: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:155.0) Gecko/20100101 Firefox/155.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 16; SM-A546B Build/BP2A.250605.031; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/154.0.7390.12 Mobile Safari/537.36 PKeyAuth/1.0";

#[rustfmt::skip] // a table
static MODELS: &[Model] = &[
    Model { name: Some("CONTOSO-"), os: "Windows11", browser: "Edge 154.0.0", agent: EDGE, trust: Some("Hybrid Azure AD joined"), directory: ("ServerAd", "Windows", "10.0.26200.6899"), managed: true },
    Model { name: Some("DESKTOP-"), os: "Windows10", browser: "Edge 154.0.0", agent: EDGE, trust: Some("Azure AD joined"), directory: ("AzureAd", "Windows", "10.0.19045.6456"), managed: true },
    Model { name: Some("LAPTOP-"), os: "Windows11", browser: "Chrome 154.0.0", agent: CHROME, trust: Some("Azure AD registered"), directory: ("Workplace", "Windows", "10.0.26100.6899"), managed: false },
    Model { name: Some("MacBook Pro "), os: "MacOs", browser: "Safari 26.1", agent: SAFARI, trust: Some("Azure AD joined"), directory: ("AzureAd", "MacMDM", "26.1"), managed: true },
    Model { name: Some("iPhone "), os: "Ios 18.7", browser: "Mobile Safari 26.1", agent: IPHONE, trust: Some("Azure AD registered"), directory: ("Workplace", "IPhone", "18.7"), managed: true },
    Model { name: None, os: "MacOs", browser: "Safari 26.1", agent: SAFARI, trust: None, directory: ("", "", ""), managed: false },
    Model { name: None, os: "Linux", browser: "Firefox 155.0", agent: FIREFOX, trust: None, directory: ("", "", ""), managed: false },
    Model { name: None, os: "Android 16", browser: "Chrome Mobile WebView 154.0.7390", agent: ANDROID, trust: None, directory: ("", "", ""), managed: false },
];
/// How many of the models, at the head of the list, are registered with the tenant.
const REGISTERED: u64 = 5;

/// A person's device. Its ids and name are empty when the tenant does not know it, as Graph sends
/// them.
pub struct Device {
    /// deviceId, the device's own id.
    pub id: String,
    /// The id of the directory object that stands for it.
    pub object_id: String,
    pub name: String,
    pub model: &'static Model,
}

/// The device that a person signs in with.
pub fn device(owner: &Person) -> Device {
    build(owner.n, at(MODELS, hash("model", owner.n)))
}

/// A device of that person which the tenant knows.
pub fn registered_device(owner: &Person) -> Device {
    build(owner.n, at(MODELS, hash("model", owner.n) % REGISTERED))
}

fn build(n: u64, model: &'static Model) -> Device {
    match model.name {
        None => Device {
            id: String::new(),
            object_id: String::new(),
            name: String::new(),
            model,
        },
        Some(prefix) => Device {
            id: guid("device", n),
            object_id: guid("device object", n),
            name: format!("{prefix}{:07X}", hash("serial", n) & 0x0fff_ffff),
            model,
        },
    }
}
