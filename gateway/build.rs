//! Makes sure that the portal's folder exists, so that the gateway builds before `make web` has run.

fn main() {
    println!("cargo:rerun-if-changed=web/dist");
    // Nothing to embed is fine; the portal then says how to build it.
    let _ = std::fs::create_dir_all("web/dist");
}
