//! The user that the server runs as, and what the service manager lets it do.

use std::path::{Path, PathBuf};

use crate::{Access, Context, Machine};

/// Where units are looked for, the first that is there.
const UNITS: [&str; 4] = [
    "/etc/systemd/system/lampyris@.service",
    "/etc/systemd/system/lampyris.service",
    "/lib/systemd/system/lampyris@.service",
    "/lib/systemd/system/lampyris.service",
];

/// The user that the server runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) user: u32,
    groups: Vec<u32>,
    /// What the unit says; empty if there is none.
    unit: String,
}

impl Account {
    /// That of the running server, else that of the unit, else the one that runs this program.
    pub(crate) fn of(context: &Context<'_>) -> Self {
        let machine = context.machine;
        let unit = UNITS.iter().find_map(|path| machine.read(Path::new(path)).ok()).unwrap_or_default();
        let running = context.status.map(|status| status.user);
        let named = setting(&unit, "User").and_then(|name| user_named(machine, name));
        let user = running.or(named).unwrap_or_else(|| machine.user());
        let name = name_of(machine, user).unwrap_or_else(|| format!("user {user}"));
        let groups = groups(machine, user, &name);
        Self { name, user, groups, unit }
    }

    /// What the unit sets, the last one counts.
    pub(crate) fn unit_setting(&self, key: &str) -> Option<&str> {
        setting(&self.unit, key)
    }

    /// Whether a file can be read, the folders above it entered; `Err` names what is in the way.
    pub(crate) fn can_read(&self, machine: &dyn Machine, path: &Path) -> Result<(), Obstacle> {
        if self.user == 0 {
            return Ok(());
        }
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        for folder in absolute.ancestors().skip(1) {
            self.check(machine, folder, 0o1)?;
        }
        self.check(machine, &absolute, 0o4)
    }

    /// What cannot be looked at is not judged: the server says it when it starts.
    fn check(&self, machine: &dyn Machine, path: &Path, right: u32) -> Result<(), Obstacle> {
        match machine.access(path) {
            Ok(access) if !self.has(access, right) => Err(Obstacle { path: path.to_owned(), access }),
            _ => Ok(()),
        }
    }

    fn has(&self, access: Access, right: u32) -> bool {
        let shift = match access {
            Access { user, .. } if user == self.user => 6,
            Access { group, .. } if self.groups.contains(&group) => 3,
            _ => 0,
        };
        (access.mode >> shift) & right != 0
    }
}

/// A file or folder that the account may not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
}

fn setting<'u>(unit: &'u str, key: &str) -> Option<&'u str> {
    let mut values = unit.lines().filter_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='));
    values.next_back().map(str::trim).filter(|value| !value.is_empty())
}

fn user_named(machine: &dyn Machine, name: &str) -> Option<u32> {
    let users = machine.read(Path::new("/etc/passwd")).ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

fn name_of(machine: &dyn Machine, user: u32) -> Option<String> {
    let users = machine.read(Path::new("/etc/passwd")).ok()?;
    let number = user.to_string();
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(number.as_str()))?;
    line.split(':').next().map(str::to_owned)
}

/// The user's own group and those that list it.
fn groups(machine: &dyn Machine, user: u32, name: &str) -> Vec<u32> {
    let users = machine.read(Path::new("/etc/passwd")).unwrap_or_default();
    let number = user.to_string();
    let own = users.lines().find(|line| line.split(':').nth(2) == Some(number.as_str()));
    let own = own.and_then(|line| line.split(':').nth(3)?.parse().ok());
    let groups = machine.read(Path::new("/etc/group")).unwrap_or_default();
    let listed = groups.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let number: u32 = fields.next()?.parse().ok()?;
        fields.next()?.split(',').any(|member| member == name).then_some(number)
    });
    own.into_iter().chain(listed).collect()
}
