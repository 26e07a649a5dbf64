//! `/ca`: what relying parties ask of the gateway's own CA. Public: it is signed and names serial numbers only.

use super::{Routes, file, respond};
use crate::app::App;
use std::sync::Arc;
use warp::Filter;

pub fn routes(app: &Arc<App>) -> Routes {
    let app = app.clone();
    let list = warp::path!("ca" / "revoked.crl").and(warp::get()).then(move || {
        let app = app.clone();
        async move {
            let list = app.authority.revocation_list(&app.storage).await;
            respond(list.map(|list| file("application/pkix-crl", None, None, list)).map_err(Into::into))
        }
    });
    list.boxed()
}
