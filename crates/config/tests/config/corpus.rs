//! Broken files: each is reported at the right place.
//!
//! A line of `corpus/manifest.txt` is `file | severity | line:column | part of the text`. The end of a file's name says which file
//! of the sample it takes the place of.

use lampyris_config::{LoadOptions, Severity, read_file};

use crate::common::{
    Deployment, GAME_DOT_NET, GAME_XML, LOAD_BALANCER, LOG4NET, MAIN, MASTER_DOT_NET, MASTER_XML, NAMESERVER_DOT_NET,
    NAMESERVER_JSON, NAMESERVER_XML, PLUGIN, WORKLOAD, folder, text_of,
};

fn place_of(name: &str) -> &'static str {
    let ends = [
        (".main.config", MAIN),
        (".nameserver.json", NAMESERVER_JSON),
        (".nameserver.config", NAMESERVER_XML),
        (".master.config", MASTER_XML),
        (".game.config", GAME_XML),
        (".nameserver-v4.config", NAMESERVER_DOT_NET),
        (".master-v4.config", MASTER_DOT_NET),
        (".game-v4.config", GAME_DOT_NET),
        (".workload.config", WORKLOAD),
        (".balancer.config", LOAD_BALANCER),
        (".plugin.config", PLUGIN),
        (".log4net.config", LOG4NET),
    ];
    ends.iter().find(|(end, _)| name.ends_with(end)).expect(name).1
}

fn manifest() -> String {
    std::fs::read_to_string(folder("corpus/manifest.txt")).unwrap()
}

#[test]
fn every_broken_file_is_reported_at_the_right_place() {
    let mut wrong = String::new();
    for line in manifest().lines().filter(|line| !line.is_empty()) {
        let [name, severity, place, part] = line.splitn(4, " | ").collect::<Vec<_>>().try_into().expect(line);
        let mut deployment = Deployment::v5();
        // A file of version 4 counts where there is none of version 5.
        for (old, new) in [(NAMESERVER_DOT_NET, NAMESERVER_XML), (MASTER_DOT_NET, MASTER_XML), (GAME_DOT_NET, GAME_XML)]
        {
            if place_of(name) == old {
                deployment.0.remove(std::path::Path::new(new));
            }
        }
        deployment.put(place_of(name), read_file(&folder("corpus").join(name)).unwrap().bytes);
        let loaded = deployment.load(LoadOptions::default());
        let told = loaded.findings.iter().any(|finding| {
            finding.severity.to_string() == severity
                && format!("{}:{}", finding.place.line, finding.place.column) == place
                && finding.place.file.to_str() == Some(place_of(name))
                && finding.text.contains(part)
        });
        let worst = loaded.worst().map(|worst| worst.to_string());
        let fits = worst.as_deref() == Some(severity) && loaded.config.is_some() == (severity != "error");
        if !told || !fits {
            wrong += &format!("{line}\ngot, worst {worst:?}:\n{}\n", text_of(&loaded));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_manifest_has_every_file_of_the_corpus() {
    let manifest = manifest();
    let named: Vec<_> = manifest.lines().filter_map(|line| line.split(" | ").next()).collect();
    let mut files = 0;
    for entry in std::fs::read_dir(folder("corpus")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "manifest.txt" {
            assert!(named.contains(&name.as_str()), "{name}");
            files += 1;
        }
    }
    assert!(files >= 150, "{files}");
}

#[test]
fn warnings_are_errors_when_strict() {
    let mut deployment = Deployment::v5();
    let sample = String::from_utf8(deployment.0[std::path::Path::new(MAIN)].clone()).unwrap();
    deployment.put(MAIN, sample.replace("DisplayName=", "DisplayNaem="));
    assert_eq!(deployment.load(LoadOptions::default()).worst(), Some(Severity::Warning));
    let strict = deployment.load(LoadOptions { strict: true, ..LoadOptions::default() });
    assert_eq!(strict.worst(), Some(Severity::Error));
    assert!(strict.config.is_none());
}
