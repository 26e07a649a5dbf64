//! Named places where a test may kill the process (`QZ_FAILPOINT=name`), to prove that a restart
//! resumes. Present in builds with debug assertions only.

/// Ends the process here, as `kill -9` would, if the environment names this place.
pub fn reached(name: &str) {
    #[cfg(debug_assertions)]
    if std::env::var("QZ_FAILPOINT").is_ok_and(|wanted| wanted == name) {
        tracing::warn!(name, "failpoint reached: aborting");
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
