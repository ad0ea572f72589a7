//! A network of its own for a test: made by `unshare`, furnished by `ip`, and gone with the test.

use std::process::Command;

const WITHIN: &str = "ATONCE_TEST_WITHIN_NAMESPACE";

/// Runs the ignored test of this name, which calls this, once more in a network namespace of its own: there it does
/// `what`.
pub(crate) fn within(name: &str, what: impl FnOnce()) {
    if std::env::var_os(WITHIN).is_some() {
        return what();
    }
    let status = Command::new("unshare")
        .args(["--map-root-user", "--net"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--nocapture", name])
        .env(WITHIN, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

/// `ip(8)` with these arguments.
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip")
        .args(arguments.split(' '))
        .status()
        .unwrap();
    assert!(status.success(), "ip {arguments}");
}
