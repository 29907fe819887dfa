//! The system's store, by distribution.

use std::path::{Path, PathBuf};

use super::{Anchor, Machine, Plan, Step};

/// Where a family of distributions keeps the authorities that an administrator adds.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Distributions.
    pub name: &'static str,
    /// The folder.
    pub folder: &'static str,
    /// What files there must end with.
    ending: &'static str,
    /// The command that makes the change known.
    update: (&'static str, &'static [&'static str]),
}

/// Folders that only one family has come first.
pub(crate) const LAYOUTS: [Layout; 4] = [
    Layout {
        name: "Fedora, Red Hat",
        folder: "/etc/pki/ca-trust/source/anchors",
        ending: "pem",
        update: ("update-ca-trust", &["extract"]),
    },
    Layout {
        name: "Arch",
        folder: "/etc/ca-certificates/trust-source/anchors",
        ending: "crt",
        update: ("update-ca-trust", &[]),
    },
    Layout { name: "SUSE", folder: "/etc/pki/trust/anchors", ending: "pem", update: ("update-ca-certificates", &[]) },
    Layout {
        name: "Debian, Ubuntu",
        folder: "/usr/local/share/ca-certificates",
        ending: "crt",
        update: ("update-ca-certificates", &[]),
    },
];

impl Layout {
    fn file(&self, machine: &Machine, anchor: &Anchor) -> PathBuf {
        below(&machine.root, self.folder).join(format!("{}.{}", anchor.file_name(), self.ending))
    }

    fn update(&self) -> Step {
        let (program, arguments) = self.update;
        Step::Run { program, arguments: arguments.iter().map(|one| (*one).to_owned()).collect(), input: None }
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn layout(machine: &Machine) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| below(&machine.root, layout.folder).is_dir())
}

pub(super) fn plan_trust(machine: &Machine, anchor: &Anchor, plan: &mut Plan) {
    let Some(layout) = layout(machine) else {
        let folders = LAYOUTS.map(|layout| format!("{} ({})", layout.folder, layout.name)).join(", ");
        plan.obstacles.push(format!(
            "the system's store was not found; expected one of {folders}; install the package ca-certificates"
        ));
        return;
    };
    let path = layout.file(machine, anchor);
    let pem = anchor.pem();
    if std::fs::read(&path).is_ok_and(|have| have == pem.as_bytes()) {
        plan.done.push(format!("the system's store has {}", path.display()));
        return;
    }
    plan.system.push(Step::Write { path, pem, from: anchor.file.clone() });
    plan_update(machine, layout, plan);
}

pub(super) fn plan_untrust(machine: &Machine, anchor: &Anchor, plan: &mut Plan) {
    let files = LAYOUTS.iter().map(|layout| (layout, layout.file(machine, anchor)));
    let mut found = false;
    for (layout, path) in files.filter(|(_, path)| path.exists()) {
        found = true;
        plan.system.push(Step::Remove { path });
        plan_update(machine, layout, plan);
    }
    if !found {
        plan.done.push("the system's store does not have it".to_owned());
    }
}

/// An image's store is brought up to date by the image's own program.
fn plan_update(machine: &Machine, layout: &Layout, plan: &mut Plan) {
    let update = layout.update();
    if machine.root == Path::new("/") {
        plan.system.push(update);
    } else {
        plan.obstacles.push(format!("run in the system below {}: {update}", machine.root.display()));
    }
}
