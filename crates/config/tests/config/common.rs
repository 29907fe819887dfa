//! Files in memory, and loading from them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use lampyris_config::{Environment, File, LoadOptions, Loaded, load, read_file};

pub(crate) const MAIN: &str = "deploy/bin/PhotonServer.config";
pub(crate) const NAMESERVER_JSON: &str = "deploy/Nameserver.json";
pub(crate) const NAMESERVER_XML: &str = "deploy/NameServer/bin/Nameserver.xml.config";
pub(crate) const MASTER_XML: &str = "deploy/LoadBalancing/Master/bin/Master.xml.config";
pub(crate) const GAME_DOT_NET: &str = "deploy/LoadBalancing/GameServer/bin/Photon.LoadBalancing.dll.config";
pub(crate) const MASTER_DOT_NET: &str = "deploy/LoadBalancing/Master/bin/Photon.LoadBalancing.dll.config";
pub(crate) const NAMESERVER_DOT_NET: &str = "deploy/NameServer/bin/Photon.NameServer.dll.config";
pub(crate) const WORKLOAD: &str = "deploy/Workload.config";
pub(crate) const LOAD_BALANCER: &str = "deploy/LoadBalancer.config";
pub(crate) const PLUGIN: &str = "deploy/LoadBalancing/GameServer/bin/plugin.config";
pub(crate) const LOG4NET: &str = "deploy/LoadBalancing/GameServer/bin/log4net.config";
pub(crate) const GAME_XML: &str = "deploy/LoadBalancing/GameServer/bin/GameServer.xml.config";

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The variables that the samples name.
pub(crate) fn variable(name: &str) -> Option<String> {
    match name {
        "ARENA_TOKEN_KEY" => Some("the-token-key".to_owned()),
        "ARENA_HOST" => Some("play.example.org".to_owned()),
        _ => None,
    }
}

/// A deployment in memory.
#[derive(Clone, Default)]
pub(crate) struct Deployment(pub(crate) BTreeMap<PathBuf, Vec<u8>>);

impl Deployment {
    /// The sample of version 5, with a certificate.
    pub(crate) fn v5() -> Self {
        let mut deployment = Self::default();
        for path in [MAIN, NAMESERVER_JSON, NAMESERVER_XML, MASTER_XML, GAME_XML] {
            let sample = folder("samples/v5").join(path.strip_prefix("deploy/").unwrap());
            deployment.put(path, read_file(&sample).unwrap().bytes);
        }
        deployment.put("deploy/bin/certs/server.pem", Vec::new());
        deployment
    }

    /// The files of a folder of samples, below `deploy`.
    pub(crate) fn of_folder(name: &str) -> Self {
        fn collect(folder: &Path, to: &Path, deployment: &mut Deployment) {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let to = to.join(entry.file_name());
                if entry.path().is_dir() {
                    collect(&entry.path(), &to, deployment);
                } else {
                    deployment.0.insert(to, std::fs::read(entry.path()).unwrap());
                }
            }
        }
        let mut deployment = Self::default();
        collect(&folder("samples").join(name), Path::new("deploy"), &mut deployment);
        deployment
    }

    pub(crate) fn put(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.0.insert(PathBuf::from(path), bytes.into());
    }

    pub(crate) fn load(&self, options: LoadOptions<'_>) -> Loaded {
        self.load_from(MAIN, options)
    }

    pub(crate) fn load_from(&self, main: &str, options: LoadOptions<'_>) -> Loaded {
        // Letter case does not matter, as on the disk.
        let read = |path: &Path| {
            let wanted = without_dots(path);
            match self.0.iter().find(|(path, _)| path.as_os_str().eq_ignore_ascii_case(wanted.as_os_str())) {
                Some((path, bytes)) => Ok(File { path: path.clone(), bytes: bytes.clone() }),
                None => Err(io::Error::from(io::ErrorKind::NotFound)),
            }
        };
        load(Path::new(main), options, Environment { read: &read, variable: &variable })
    }
}

fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

pub(crate) fn text_of(loaded: &Loaded) -> String {
    loaded.findings.iter().map(|finding| format!("{finding}\n")).collect()
}
