//! The demo page and the browser client, part of the program.
//!
//! | path | what |
//! | --- | --- |
//! | `/` | the demo page |
//! | `/demo/...` | its files |
//! | `/client/...` | the browser client's modules |

use std::collections::HashMap;

use bytes::Bytes;
use include_dir::{Dir, include_dir};
use lampyris_engine::Asset;

static DEMO: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../clients/js/demo");
static CLIENT: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../clients/js/src");

/// Every file, by the path that a browser asks for.
pub(crate) fn all() -> HashMap<String, Asset> {
    let mut assets = HashMap::new();
    add(&mut assets, "/demo", &DEMO);
    add(&mut assets, "/client", &CLIENT);
    if let Some(index) = assets.get("/demo/index.html").cloned() {
        for path in ["/", "/demo", "/demo/"] {
            assets.insert(path.to_owned(), index.clone());
        }
    }
    assets
}

fn add(assets: &mut HashMap<String, Asset>, prefix: &str, dir: &'static Dir<'static>) {
    for file in dir.files() {
        let path = file.path();
        let (Some(name), Some(content_type)) =
            (path.to_str(), path.extension().and_then(|extension| content_type(extension.to_str()?)))
        else {
            continue;
        };
        let asset = Asset { content_type, body: Bytes::from_static(file.contents()) };
        assets.insert(format!("{prefix}/{name}"), asset);
    }
    for inner in dir.dirs() {
        add(assets, prefix, inner);
    }
}

/// Files of other kinds are not served.
fn content_type(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_served_file_has_an_absolute_path_and_a_type() {
        for (path, asset) in all() {
            assert!(path.starts_with('/') && !path.contains(".."), "{path}");
            assert!(!asset.content_type.is_empty());
        }
    }

    #[test]
    fn modules_are_served_as_scripts_and_unknown_kinds_not_at_all() {
        assert_eq!(content_type("js"), Some("text/javascript; charset=utf-8"));
        assert_eq!(content_type("ts"), None);
    }

    #[test]
    fn the_demo_page_and_every_file_it_names_are_served() {
        let assets = all();
        let page = &assets["/"];
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        let text = std::str::from_utf8(&page.body).unwrap();
        let named: Vec<_> = text.split('"').filter(|part| part.starts_with('/')).collect();
        assert!(named.contains(&"/client/index.js"), "{named:?}");
        for path in named {
            assert!(assets.contains_key(path), "{path}");
        }
    }
}
