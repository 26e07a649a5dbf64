//! `verifier.html`: the whole verifier in one file that works without a network. The web build makes the
//! file; this puts the operator's genesis and trust inputs into it, as data that no browser executes.

use super::Portal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

/// The element that the web build leaves empty.
const EMPTY: &str = "<script type=\"application/json\" id=\"qz-embedded\">null</script>";

/// The file with the portal's genesis and trust inputs in it; nothing if `template` has no place for them.
pub fn filled(template: &str, portal: &Portal) -> Option<String> {
    let (before, after) = template.split_once(EMPTY)?;
    let embedded = json!({
        "genesis": BASE64.encode(portal.genesis().bytes()),
        "site": portal.site(),
    });
    // Inside a script element `<` could end it.
    let data = embedded.to_string().replace('<', "\\u003c");
    Some(format!("{before}<script type=\"application/json\" id=\"qz-embedded\">{data}</script>{after}"))
}
