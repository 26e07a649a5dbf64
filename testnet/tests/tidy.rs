//! The rules of the house that a machine can check: who may import whom, what is absent from the pure
//! crates, how files begin and how long they get. `docs/ARCHITECTURE.md` says why.
#![allow(clippy::unwrap_used)]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may import which crates of this workspace (tests apart).
const EDGES: [(&str, &[&str]); 16] = [
    ("qz-evidence", &[]),
    ("qz-evidence-pdf", &["qz-evidence"]),
    ("qz-verify", &["qz-evidence", "qz-evidence-pdf"]),
    ("qz-wasm", &["qz-verify"]),
    ("qz-conformance", &["qz-evidence", "qz-evidence-pdf", "qz-verify", "qz-document", "qz-domain"]),
    ("qz-chain", &["qz-evidence"]),
    ("qz-genesis", &["qz-evidence", "qz-chain"]),
    ("qz-store", &["qz-evidence", "qz-chain"]),
    ("qz-client", &["qz-evidence", "qz-genesis"]),
    ("qz-node", &["qz-evidence", "qz-chain", "qz-genesis", "qz-store"]),
    ("qz-domain", &["qz-evidence"]),
    ("qz-document", &["qz-evidence", "qz-evidence-pdf", "qz-domain"]),
    ("qz-storage", &["qz-domain"]),
    (
        "qz-gateway",
        &["qz-evidence", "qz-evidence-pdf", "qz-client", "qz-domain", "qz-document", "qz-storage", "qz-verify"],
    ),
    ("qz-testnet", &["qz-evidence", "qz-chain", "qz-client", "qz-genesis", "qz-store"]),
    ("qz-byzantine", &["qz-evidence", "qz-chain", "qz-genesis", "qz-node"]),
];

/// What must not be reachable from the pure crates, on any path.
const EFFECTS: [&str; 12] = [
    "tokio",
    "rocksdb",
    "warp",
    "hyper",
    "reqwest",
    "libp2p",
    "sea-orm",
    "opendal",
    "tracing-subscriber",
    "jiff",
    "chrono",
    "async-trait",
];
/// Pure crates: no disk, no network, no clock.
const PURE: [&str; 2] = ["qz-evidence", "qz-chain"];
/// What their sources must not name.
const EFFECTS_OF_STD: [&str; 7] =
    ["std::fs", "std::net", "std::process", "std::thread", "SystemTime", "Instant::now", "std::env"];
/// Heavy libraries, and the only crates that may use them.
const QUARANTINE: [(&str, &[&str]); 5] = [
    ("rocksdb", &["qz-store"]),
    ("typst", &["qz-document"]),
    ("lopdf", &["qz-document", "qz-evidence-pdf"]),
    ("sea-orm", &["qz-storage"]),
    ("arc-malachitebft-app-channel", &["qz-node", "qz-byzantine"]),
];
/// Longest source file.
const MAX_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Only this platform's packages are looked at: those of others need not have been downloaded.
fn metadata() -> Metadata {
    let options = ["--offline".to_owned(), "--filter-platform".to_owned(), host()];
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).other_options(options).exec().unwrap()
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Names of the packages that `package` imports, tests and build scripts apart.
fn imports(package: &Package) -> BTreeSet<&str> {
    let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.as_str()).collect()
}

#[test]
fn crates_import_in_one_direction() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    let mut wrong = vec![];
    let members = metadata.workspace_packages();
    assert_eq!(members.len(), EDGES.len(), "a crate was added or removed: say in EDGES who may import whom");
    for package in members {
        let allowed = allowed.get(package.name.as_str()).unwrap_or_else(|| panic!("{} is not in EDGES", package.name));
        for import in imports(package).into_iter().filter(|name| name.starts_with("qz-")) {
            if !allowed.contains(&import) {
                wrong.push(format!("{} imports {import}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn heavy_libraries_stay_in_quarantine() {
    let metadata = metadata();
    for (library, allowed) in QUARANTINE {
        for package in metadata.workspace_packages() {
            let uses = imports(package).contains(library);
            assert!(!uses || allowed.contains(&package.name.as_str()), "{} imports {library}", package.name);
        }
    }
}

/// Adversaries are a program of their own: no crate depends on it in any way, no feature of the node could
/// switch misbehaviour on, the node's own sources know one conduct, and nothing that packages names it.
#[test]
fn adversaries_stay_in_the_tests() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let found = package.dependencies.iter().any(|dependency| dependency.name == "qz-byzantine");
        assert!(!found, "{} depends on qz-byzantine", package.name);
        if package.name.as_str() == "qz-node" {
            assert!(package.features.is_empty(), "a feature of qz-node would be unified into what is shipped");
        }
        if package.name.as_str() == "qz-byzantine" {
            assert!(package.targets.iter().all(|target| target.is_bin()), "it is a program, nothing to import");
            assert_eq!(package.publish.as_deref(), Some(&[][..]));
        }
    }
    let conducts: Vec<_> = sources(&root().join("node/src"))
        .iter()
        .flat_map(|file| std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains("Conduct for"))
        .collect();
    assert_eq!(conducts, ["impl Conduct for Honest {}"]);
    for file in packaging(&root()) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(!text.contains("qz-byzantine"), "{} names the adversary", file.display());
    }
}

/// Everything of the repository that could put a program into a package: no Rust, no prose.
fn packaging(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "node_modules", "dist", ".git", "byzantine"].contains(&name.as_str()) {
                found.extend(packaging(&path));
            }
        } else if name == "Makefile"
            || name.starts_with("Dockerfile")
            || [".sh", ".service", ".yml", ".yaml", ".spec"].iter().any(|end| name.ends_with(end))
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn nothing_with_effects_is_reachable_from_the_pure_crates() {
    let metadata = metadata();
    let nodes: BTreeMap<_, _> = metadata.resolve.as_ref().unwrap().nodes.iter().map(|n| (&n.id, n)).collect();
    for pure in PURE {
        let start = metadata.workspace_packages().into_iter().find(|p| p.name.as_str() == pure).unwrap();
        let mut seen = BTreeSet::from([&start.id]);
        let mut open = vec![&start.id];
        while let Some(id) = open.pop() {
            for dependency in &nodes[id].deps {
                let normal = dependency.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal);
                if normal && seen.insert(&dependency.pkg) {
                    open.push(&dependency.pkg);
                }
            }
        }
        for id in seen {
            let name = metadata[id].name.as_str();
            assert!(!EFFECTS.contains(&name), "{pure} reaches {name}");
        }
    }
}

#[test]
fn pure_crates_name_no_effect() {
    for folder in ["evidence/src", "chain/src", "gateway/domain/src", "evidence/verify/src/lib.rs"] {
        for file in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for effect in EFFECTS_OF_STD {
                let found = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(effect));
                assert!(!found, "{} names {effect}", file.display());
            }
        }
    }
}

#[test]
fn files_begin_with_their_purpose_and_stay_short() {
    let mut wrong = vec![];
    for folder in ["evidence", "chain", "genesis", "node", "gateway", "testnet"] {
        for file in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            let lines = text.lines().count();
            if !text.starts_with("//!") {
                wrong.push(format!("{} does not say what it is for", file.display()));
            }
            if lines > MAX_LINES {
                wrong.push(format!("{} has {lines} lines, at most {MAX_LINES} are wanted", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Rust sources in a folder (or the file itself), without those of other tools.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found = vec![];
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "node_modules", "dist", "fuzz"].contains(&name.as_str()) {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}
